"""Why a delivery waits, in words: one sentence for each reason, and the time where it is one of time."""

import pytest

from ringback.rules.endpoint import WELL, Health
from ringback.rules.retry import SECOND
from ringback.rules.waiting import Queued, Waiting, decisive, waiting

NOW = 1_700_000_000 * SECOND
SOON = NOW + 5 * SECOND
CLOSED = Health(
    failures=5,
    failing_since=NOW - 60 * SECOND,
    diagnosis="answered 503",
    closed_at=NOW - SECOND,
    gap=SECOND,
    not_before=NOW + 9 * SECOND,
)
PAUSED = Health(paused_at=NOW - SECOND)
HELD = Health(held_until=NOW + 60 * SECOND)
RECOVERING = Health(ramp=1)
FAILING = Health(failures=1, failing_since=NOW)
SCATTERED = Health(scattered=3, failing_since=NOW)


def queued(
    *,
    in_flight: bool = False,
    behind: int | None = None,
    endpoint: Health = WELL,
    origin: Health = WELL,
) -> Queued:
    return Queued(SOON, in_flight, behind, endpoint, origin)


def test_what_only_waits_for_its_time_says_no_more_than_that() -> None:
    assert waiting(queued(), NOW) == Waiting(SOON)
    assert waiting(queued(endpoint=FAILING), NOW) == Waiting(SOON)


def test_an_attempt_under_way_has_no_next_time_yet() -> None:
    assert waiting(queued(in_flight=True, endpoint=CLOSED), NOW) == Waiting(None, "an attempt is under way")


def test_what_stands_behind_another_event_names_it() -> None:
    assert waiting(queued(behind=3), NOW) == Waiting(None, "event 3 of this prediction goes first")


def test_at_a_closed_endpoint_it_says_since_when_and_what_the_last_answer_was() -> None:
    found = waiting(queued(endpoint=CLOSED), NOW)
    assert found.at == CLOSED.not_before
    assert found.why == (
        "the endpoint has been failing since 2023-11-14T22:12:20.000000Z, and is probed until it answers; "
        "last: answered 503"
    )


def test_while_a_probe_is_in_flight_nobody_knows_the_next_time() -> None:
    probing = Health(closed_at=NOW, failing_since=NOW, probing=True)
    assert waiting(queued(endpoint=probing), NOW).at is None


def test_a_closed_origin_is_named_as_such() -> None:
    assert waiting(queued(origin=CLOSED), NOW).why.startswith("the origin has been failing since ")


def test_a_paused_endpoint_is_no_matter_of_time() -> None:
    found = waiting(queued(endpoint=PAUSED, origin=CLOSED), NOW)
    assert found == Waiting(None, "the endpoint is paused; it goes out once that is ended")


def test_a_retry_after_holds_it_until_then() -> None:
    found = waiting(queued(endpoint=HELD), NOW)
    assert (found.at, "2023-11-14T22:14:20" in found.why) == (HELD.held_until, True)
    assert waiting(queued(endpoint=HELD), HELD.held_until) == Waiting(SOON)


def test_while_an_endpoint_recovers_it_says_so() -> None:
    assert "a few at a time" in waiting(queued(endpoint=RECOVERING), NOW).why


@pytest.mark.parametrize(
    ("endpoint", "origin", "expected"),
    [
        (WELL, WELL, (WELL, False)),
        (FAILING, WELL, (FAILING, False)),
        (WELL, FAILING, (FAILING, True)),
        (FAILING, CLOSED, (CLOSED, True)),
        (PAUSED, CLOSED, (PAUSED, False)),
        (CLOSED, CLOSED, (CLOSED, False)),
        (WELL, SCATTERED, (WELL, False)),  # other endpoints fail there: this one does not
    ],
)
def test_the_graver_of_an_endpoint_and_its_origin_is_told(
    endpoint: Health, origin: Health, expected: tuple[Health, bool]
) -> None:
    assert decisive(endpoint, origin, NOW) == expected
