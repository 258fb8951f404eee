import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ringback.words.json import Raw, canonical, comparable, decode

AskNode = Callable[..., Any]

EDGES = [
    0.1,
    1.5e-5,
    1e-6,
    9.5e-7,
    1e-7,
    5e-324,
    2.0**53 + 2,
    1e16,
    1.5e16,
    1e20,
    1.5e20,
    999999999999999900000.0,
]
EDGES += [1e21, 1.5e21, 1.7976931348623157e308, 123456789012345680000.0, 4.35, 0.000001234, 1e22, 100.0]
finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = finite | st.sampled_from(EDGES + [-edge for edge in EDGES]) | st.integers(-(2**53), 2**53)
indices = st.integers(0, 2**32 + 1).map(str) | st.integers(0, 12).map(str)
odd_keys = [
    "",
    "01",
    "-1",
    "1.0",
    "1e3",
    "0",
    "4294967294",
    "4294967295",
    "4294967296",
    "__proto__",
    "constructor",
]


def trees(strings: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    keys = strings | indices | st.sampled_from(odd_keys)
    leaves = st.none() | st.booleans() | numbers | strings
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=12)


LONE_HIGH, LONE_LOW = "\ud800", "\udfff"


def as_doubles(value: Any) -> Any:
    """A double of 2^53 or more is written as a whole number; JavaScript reads the same double from it."""
    if isinstance(value, dict):
        return {key: as_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_doubles(item) for item in value]
    return float(value) if type(value) is int else value


any_text = st.text(st.characters(exclude_categories=()))
well_formed_text = st.text(st.characters(exclude_categories=["Cs"]))


@given(trees(any_text))
@example({"b": 1.0, "10": 1, "9": -0.0, "__proto__": {"2": 0, "1": 0}})
@example('\x00\x08\t\n\x0b\x0c\r\x1f"\\/\x7f\u2028\u2029é\U0001f600\ud800')
@settings(max_examples=300, deadline=None)
def test_javascript_writes_the_text_back_as_it_came(ask_node: AskNode, value: Any) -> None:
    text = canonical(value).decode()
    assert ask_node("rewrite", text=text) == text


@given(finite)
@settings(max_examples=300, deadline=None)
def test_a_number_is_written_as_javascript_writes_it_and_is_still_the_same_number(
    ask_node: AskNode, value: float
) -> None:
    text = canonical(value).decode()
    assert ask_node("rewrite", text=json.dumps(value)) == text
    assert float(text) == value


@given(st.text(st.characters(categories=["Cs"]) | st.sampled_from("aZ\U0001f600\ud83d\ude00")))
@settings(max_examples=100, deadline=None)
def test_lone_surrogates_are_replaced_as_javascript_replaces_them(ask_node: AskNode, value: str) -> None:
    expected = ask_node("well_formed", text=value)
    assert decode(canonical([{value: (value,)}])) == [{expected: [expected]}]


@given(trees(well_formed_text))
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_as_the_same_value(value: Any) -> None:
    assert as_doubles(decode(canonical(value))) == as_doubles(value)
    assert as_doubles(json.loads(canonical(value))) == as_doubles(value)


@given(trees(any_text))
@settings(max_examples=100, deadline=None)
def test_a_canonical_text_is_its_own_canonical_text(value: Any) -> None:
    text = canonical(value)
    assert canonical(decode(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (1e-6, "0.000001"),
        (-1.5e-6, "-0.0000015"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (-1.5e300, "-1.5e+300"),
        (2**53 + 1, "9007199254740993"),
        (-(2**64) - 1, "-18446744073709551617"),
        (10**25, "10000000000000000000000000"),
        (True, "true"),
        ((1, (2.0, None)), "[1,[2,null]]"),
        ("é\u2028\x7f/<", '"é\u2028\x7f/<"'),
        ('\x00\x1f\b\t\n\f\r"\\', r'"\u0000\u001f\b\t\n\f\r\"\\"'),
        ("a\ud800b", '"a\ufffdb"'),
        ("\ud83d\ude00", '"😀"'),
        ({"b": 0, "10": 1, "9": 2.0, "a": 3}, '{"9":2,"10":1,"b":0,"a":3}'),
        ({"x": 0, "4294967295": 1, "4294967294": 2, "01": 3}, '{"4294967294":2,"x":0,"4294967295":1,"01":3}'),
        ({"x": 0, "__proto__": 1.0}, '{"x":0,"__proto__":1}'),
        ({LONE_HIGH: 1, "b": 2, LONE_LOW: 3}, '{"\ufffd":3,"b":2}'),
        ({"ready": Raw(b'{"a":[1]}'), "n": [1.0, Raw(b"1e+21")]}, '{"ready":{"a":[1]},"n":[1,1e+21]}'),
        (Raw(b"[]"), "[]"),
    ],
)
def test_the_canonical_text_of(value: Any, text: str) -> None:
    assert canonical(value).decode() == text


def test_a_value_is_never_changed_by_writing_it() -> None:
    value = {"b": [1.0, {"1": 2.0, "0": "\ud800"}], "0": (3.0,)}
    before = repr(value)
    canonical(value)
    assert repr(value) == before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "the value is NaN"),
        ({"output": [0, {"score": math.nan}]}, r"output\[1\]\.score is NaN"),
        ([math.inf], r"\[0\] is infinite"),
        ({"a": {"b": -math.inf}}, r"a\.b is infinite"),
        ({"\ud800": math.nan}, "^\ufffd is NaN"),
    ],
)
def test_a_number_that_json_lacks_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        canonical(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [b"x"]}, r"a\[0\] is a bytes"),
        ({"a": {1: 2}}, "a has the key 1, which is not a string"),
        ({1, 2}, "the value is a set"),
        (type("Text", (str,), {})("x"), "the value is a Text"),
    ],
)
def test_a_type_that_json_lacks_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        canonical(value)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_nested_too_deeply_to_write_is_refused_and_a_loop_is_too() -> None:
    assert canonical(nested(250)) == b"[" * 250 + b"1" + b"]" * 250
    with pytest.raises(ValueError, match="nested deeper than 250"):
        canonical(nested(251))
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with pytest.raises(ValueError, match="nested deeper than 250"):
        canonical(loop)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
        (b" [1.0, -0.5e-3, null, true] \n", [1.0, -0.0005, None, True]),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"' + b"[" * 300 + b'"', "[" * 300),
        (b"[" + b"[]," * 300 + b"[]]", [[]] * 301),
        (b'{"a":' * 199 + b"[1]" + b"}" * 199, None),
        (b"[" * 200 + b"]" * 200, None),
    ],
)
def test_json_is_read(data: bytes, value: Any) -> None:
    assert decode(data) == (value if value is not None else json.loads(data))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"NaN", b"[Infinity]", b"-Infinity", b"1e400", b"[1,]", b"{'a':1}", b"01", b"1 2", b"// 1",
        b"tru", b'"\xff"', b'{"\xff":1}', b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", b'"\\ud800"', b'"\\udc00x"',
        b'{"\\ud800":1}', b'"\\ud800\\u0041"', b'"a\nb"', b'"\\x41"', b'"\xc3', b"\xff", b"1" * 5000,
        b"[" * 201 + b"]" * 201, b'{"a":' * 200 + b"[]" + b"}" * 200, b"[" * 100_000, b'{"a":' * 100_000,
    ],
    ids=lambda data: ascii(data[:20]),
)  # fmt: skip
def test_what_is_not_json_is_refused_with_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|data|Number|Integer") as refusal:
        decode(data)
    assert type(refusal.value) is ValueError


@given(st.binary(max_size=40) | trees(any_text).map(lambda value: json.dumps(value).encode()))
@settings(max_examples=200, deadline=None)
def test_whatever_is_read_can_be_written(data: bytes) -> None:
    try:
        value = decode(data)
    except ValueError:
        return
    assert as_doubles(decode(canonical(value))) == as_doubles(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"1.0"),
        (b"100", b"1e2"),
        (b"0", b"-0.0"),
        (b"1000000000000000000000", b"1e21"),
        (b"9007199254740992", b"9007199254740992.0"),
        (b'{"a":[1,{"c":2}],"b":0}', b'{ "b" : 0.0, "a":[1.0,{"c":2E0}] }'),
    ],
)
def test_the_same_value_has_the_same_comparable_text_however_it_is_spelled(one: bytes, other: bytes) -> None:
    assert comparable(decode(one)) == comparable(decode(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"true"),
        (b"1", b'"1"'),
        (b"0", b"null"),
        (b"1", b"1.5"),
        (b"[1,2]", b"[2,1]"),
        (b"[1]", b"1"),
        (b'{"a":1}', b'{"a":1,"b":null}'),
        (b"9007199254740993", b"9007199254740992.0"),
        (b"1" + b"0" * 400, b"1" + b"0" * 401),
    ],
)
def test_another_value_has_another_comparable_text(one: bytes, other: bytes) -> None:
    assert comparable(decode(one)) != comparable(decode(other))


@given(trees(st.text()))
def test_comparable_text_reads_as_the_value_that_it_is_of(value: Any) -> None:
    read = decode(json.dumps(value).encode())
    assert decode(comparable(read)) == read
