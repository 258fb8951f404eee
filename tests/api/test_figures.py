"""What the figures say when the store can't be asked, and of models that are not in the configuration."""

from math import isnan

from ringback.api.figures import Figures


def value(figures: Figures, name: str, **labels: str) -> float:
    found = figures.registry.get_sample_value(name, labels)
    assert found is not None
    return found


def test_what_the_store_can_not_say_is_unknown_and_not_0() -> None:
    figures = Figures(["test/echo"], access="open")
    figures.write_refused()
    text, _ = figures.render("", None, 3)
    assert b"ringback_store_refusals_total 1.0" in text
    assert value(figures, "ringback_attempts_in_flight") == 3
    assert isnan(value(figures, "ringback_oldest_due_seconds", scope="ready"))
    assert isnan(value(figures, "ringback_queue_depth", model="test/echo"))


def test_a_model_that_is_no_longer_configured_is_counted_among_the_others() -> None:
    figures = Figures(["test/echo"], access="open")
    figures.created("test/gone")
    figures.reached("test/gone", "failed")
    assert value(figures, "ringback_predictions_total", model="other", status="starting") == 1
    assert value(figures, "ringback_predictions_total", model="other", status="failed") == 1
    assert figures.registry.get_sample_value("ringback_predictions_total", {"model": "test/gone"}) is None
