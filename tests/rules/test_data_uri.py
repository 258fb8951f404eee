"""`data:` URIs: read as browsers read them, written so that they can be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rules.data_uri import Data, is_data_uri, parse, written


@pytest.mark.parametrize(
    ("uri", "data"),
    [
        ("data:,a%20b", Data("text/plain", b"a b")),
        ("data:text/html,<b>", Data("text/html", b"<b>")),
        ("DATA:image/PNG;base64,aGk=", Data("image/png", b"hi")),
        ("data:;base64,aGk", Data("text/plain", b"hi")),
        ("data:text/plain;charset=utf-8;base64,aG\n k=", Data("text/plain", b"hi")),
        ("data:text/plain;base64,aGk%3D", Data("text/plain", b"hi")),
        ("data:a/b,,", Data("a/b", b",")),
    ],
)
def test_a_uri_is_read_as_browsers_do(uri: str, data: Data) -> None:
    assert is_data_uri(uri)
    assert parse(uri) == data


@pytest.mark.parametrize("uri", ["data:", "data:text/plain", "data:;base64,?", "data:;base64,a"])
def test_a_malformed_one_is_told(uri: str) -> None:
    with pytest.raises(ValueError, match=r"^is a malformed data: URI: "):
        parse(uri)


@pytest.mark.parametrize("value", ["", "dat", "data", "http://x/data:", None, 1, ["data:,"]])
def test_other_values_are_none(value: object) -> None:
    assert not is_data_uri(value)


@given(st.binary())
def test_what_is_written_can_be_read(content: bytes) -> None:
    assert parse(written("image/png", content)) == Data("image/png", content)
