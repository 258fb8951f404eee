"""Bodies taken field by field, and cursors: whatever comes, it is refused in words or taken as it is."""

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ringback.api import paging
from ringback.api.fields import Fields
from ringback.api.listing import covered
from ringback.rules import search
from ringback.words.errors import Invalid

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("text", "url", "option", "number")


def taken(body: dict[str, Any]) -> dict[str, Any] | None:
    fields = Fields(body, KEYS)
    values = {
        "text": fields.text("text", 10),
        "url": fields.url("url"),
        "option": fields.option("option", ("a", "b")),
        "number": fields.number("number", 0, 5),
    }
    try:
        fields.raise_faults()
    except Invalid:
        return None
    return values


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), JSON, max_size=5))
def test_what_is_taken_is_what_it_should_be(body: dict[str, Any]) -> None:
    values = taken(body)
    if values is None:
        assert taken(dict.fromkeys(KEYS)) == dict.fromkeys(KEYS)
        return
    assert set(body) <= set(KEYS)
    for key, value in values.items():
        assert value == body.get(key)
        assert not isinstance(value, bool | float)
    assert values["text"] is None or len(values["text"]) <= 10
    assert values["url"] is None or values["url"].startswith(("http://", "https://"))
    assert values["option"] in (None, "a", "b")
    assert values["number"] in (None, 0, 1, 2, 3, 4, 5)


def test_a_whole_number_written_with_a_point_is_a_number() -> None:
    assert taken({"number": 3.0}) == {"text": None, "url": None, "option": None, "number": 3}
    assert taken({"number": 3.5}) is None
    assert taken({"number": True}) is None


@given(st.text(max_size=200))
def test_a_made_up_cursor_is_refused_or_a_place_like_any_other(text: str) -> None:
    for cursor in (text, covered(text), covered(f"next={text}"), covered(f"next=1.{text}")):
        with contextlib.suppress(Invalid):
            found = paging.cursor({"cursor": cursor})
            assert found is not None
            assert abs(found.key) < 10**18
            assert found.name.isascii()
            assert found.name.isprintable()


@given(
    st.sampled_from(["next", "previous"]),
    st.integers(-(10**17), 10**17),
    st.from_regex(r"[a-z0-9._/-]{1,40}", fullmatch=True),
)
def test_a_cursor_of_ours_is_understood(side: str, key: int, name: str) -> None:
    found = paging.cursor({"cursor": covered(f"{side}={key}.{name}")})
    assert found is not None
    assert (found.side, found.key, found.name) == (side, key, name)


@given(st.text(max_size=2000), st.text(max_size=40), st.text(max_size=40))
def test_a_text_fits_a_search_for_each_of_its_words(query: str, name: str, description: str) -> None:
    assert 0 <= search.score(search.words(query), name, description) <= 1
    own = search.words(f"{name} {description}")
    assert len(search.words(query)) <= 20
    assert search.score(own, name, description) > 0


def test_a_name_fits_better_than_a_part_of_it_and_that_better_than_a_description() -> None:
    (sought,) = [search.words("echo")]
    exact, part = search.score(sought, "a/echo", ""), search.score(sought, "a/echoes", "")
    assert exact > part > search.score(sought, "a/b", "an echo") > search.score(sought, "a/b", "none") == 0
    assert search.score(search.words("echo none"), "a/echo", "an echo") == 0
