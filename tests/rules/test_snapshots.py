"""A prediction as JSON: canonical text, whatever is in it."""

import json as stdlib_json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rules.prediction import EVENTS, Status, mask
from ringback.rules.snapshot import Facts, Links, logs_of, output_of, render, timestamp
from ringback.words.json import canonical, decode

LINKS = Links("https://ringback.example")
ID = "01jc0v5m6y4q0w8zj3k2n1p0r9"

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
times = st.integers(0, 4_102_444_800_000_000)


def facts(**more: Any) -> Facts:
    known: dict[str, Any] = {
        "id": ID,
        "model": "test/echo",
        "version": "ab" * 32,
        "status": "starting",
        "input": "{}",
        "source": "api",
        "created_at": 1_713_784_515_329_000,
        "started_at": None,
        "completed_at": None,
        "error": None,
        "metrics": "{}",
        "webhook": None,
        "events": 0,
        "data_removed": False,
    }
    return Facts(**{**known, **more})


def text(value: Any) -> str:
    return canonical(value).decode()


chunks = st.lists(
    st.one_of(
        st.tuples(st.just("items"), st.lists(values, min_size=1, max_size=3).map(text)),
        st.tuples(st.just("value"), values.map(text)),
        st.tuples(st.just("logs"), texts),
    ),
    max_size=5,
)


@given(
    input_=st.dictionaries(texts, values, max_size=4),
    pieces=chunks,
    error=st.none() | texts,
    webhook=st.none() | texts,
    events=st.sets(st.sampled_from(EVENTS)),
    started_at=st.none() | times,
    status=st.sampled_from(["starting", "processing", "succeeded", "failed", "canceled"]),
)
def test_the_text_is_canonical_whatever_is_in_it(
    input_: dict[str, Any],
    pieces: list[tuple[str, str]],
    error: str | None,
    webhook: str | None,
    events: set[Any],
    started_at: int | None,
    status: Status,
) -> None:
    found = render(
        facts(
            input=text(input_),
            error=error,
            webhook=webhook,
            events=mask(frozenset(events)),
            started_at=started_at,
            status=status,
        ),
        pieces,
        LINKS,
    )
    shown = decode(found)
    assert canonical(shown) == found
    assert shown["input"] == decode(canonical(input_))
    assert shown["error"] == error
    assert shown.get("webhook") == webhook


def test_a_prediction_has_all_the_fields_that_the_clients_read() -> None:
    shown = stdlib_json.loads(render(facts(), [], LINKS))
    assert shown == {
        "id": ID,
        "model": "test/echo",
        "version": "ab" * 32,
        "input": {},
        "logs": "",
        "output": None,
        "data_removed": False,
        "error": None,
        "source": "api",
        "status": "starting",
        "created_at": "2024-04-22T11:15:15.329000Z",
        "started_at": None,
        "completed_at": None,
        "metrics": {},
        "urls": {
            "cancel": f"https://ringback.example/v1/predictions/{ID}/cancel",
            "get": f"https://ringback.example/v1/predictions/{ID}",
            "web": f"https://ringback.example/p/{ID}",
        },
    }


def test_a_webhook_and_its_filter_are_shown_as_they_were_given() -> None:
    found = facts(webhook="https://a.example/?x=1&y=%2F", events=mask(("completed", "start")))
    shown = stdlib_json.loads(render(found, [], LINKS))
    assert shown["webhook"] == "https://a.example/?x=1&y=%2F"
    assert shown["webhook_events_filter"] == ["start", "completed"]


@pytest.mark.parametrize(
    ("pieces", "output", "logs"),
    [
        ([], None, ""),
        ([("logs", "a"), ("logs", "b\n")], None, "ab\n"),
        ([("value", '"hi"')], "hi", ""),
        ([("value", "null")], None, ""),
        ([("value", "[]")], [], ""),
        ([("items", '["a"]')], ["a"], ""),
        ([("items", '["a",[]]'), ("logs", "x"), ("items", '[null,"b"]')], ["a", [], None, "b"], "x"),
        ([("items", "[[]]")], [[]], ""),
    ],
)
def test_chunks_join_to_one_value_or_to_one_list(
    pieces: list[tuple[str, str]], output: Any, logs: str
) -> None:
    assert stdlib_json.loads(output_of(pieces)) == output
    assert logs_of(pieces) == logs


@given(times)
def test_a_timestamp_is_rfc_3339_to_the_microsecond(us: int) -> None:
    shown = timestamp(us)
    assert shown.endswith("Z")
    assert len(shown) == len("2024-04-22T11:15:15.329000Z")
    back = datetime.fromisoformat(shown)
    assert back.tzinfo == UTC
    assert (int(back.replace(microsecond=0).timestamp()) * 1_000_000 + back.microsecond) == us


def urls(shown: Any) -> set[str]:
    return set(shown["urls"])


def test_a_server_with_a_key_gives_a_stream_url_that_the_key_makes() -> None:
    keyed = Links("https://ringback.example", b"k" * 32)
    shown = stdlib_json.loads(render(facts(), [], keyed))
    assert shown["urls"]["stream"] == f"https://ringback.example/stream/{ID}/{keyed.stream_key(ID)}"
    assert len(keyed.stream_key(ID)) == 32
    assert keyed.stream_key(ID) != Links("https://ringback.example", b"l" * 32).stream_key(ID)
    assert keyed.stream_key(ID) != keyed.stream_key(f"{ID[:-1]}0")


def test_without_a_key_there_is_no_stream_rather_than_null() -> None:
    # The older Python client fails on a URL that is null.
    assert urls(stdlib_json.loads(render(facts(), [], LINKS))) == {"cancel", "get", "web"}


def test_a_training_has_its_own_urls_and_no_stream() -> None:
    shown = stdlib_json.loads(render(facts(kind="training", pool="train"), [], Links("http://x", b"k")))
    assert shown["urls"] == {
        "cancel": f"http://x/v1/trainings/{ID}/cancel",
        "get": f"http://x/v1/trainings/{ID}",
        "web": f"http://x/p/{ID}",
    }
    assert "deployment" not in shown


def test_deadline_and_deployment_are_shown_only_where_there_are_any() -> None:
    plain = stdlib_json.loads(render(facts(), [], LINKS))
    assert not {"deadline", "deployment"} & set(plain)
    shown = stdlib_json.loads(render(facts(pool="acme/fast", deadline=1_713_784_515_329_000), [], LINKS))
    assert shown["deployment"] == "fast"
    assert shown["deadline"] == shown["created_at"] == "2024-04-22T11:15:15.329000Z"
