import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.runner.protocol import (
    MAX_HEADER,
    MAX_PAYLOAD,
    Cancel,
    Decoder,
    Done,
    HeaderTooLargeError,
    InputFile,
    Load,
    Loaded,
    LoadFailed,
    Output,
    OutputFile,
    ProtocolError,
    Ready,
    Run,
    SetupFailed,
    Shutdown,
    encode,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(text, json_values, max_size=3)
messages = st.one_of(
    st.builds(Load, text, text),
    st.builds(Run, text, objects),
    st.builds(InputFile, text, st.integers(0), text, st.booleans()),
    st.builds(Cancel, text),
    st.just(Shutdown()),
    st.builds(Loaded, objects),
    st.builds(LoadFailed, text),
    st.just(Ready()),
    st.builds(SetupFailed, text),
    st.builds(Output, text, json_values, st.booleans()),
    st.builds(OutputFile, text, st.integers(0), text, st.booleans()),
    st.builds(
        Done, text, st.sampled_from(["succeeded", "failed", "canceled"]), st.none() | text, st.just(0.5)
    ),
)


@given(st.lists(st.tuples(messages, st.binary(max_size=50)), max_size=6), st.data())
def test_any_split_of_the_stream_gives_the_same_frames(
    frames: list[tuple[Any, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(encode(message, payload) for message, payload in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    decoder = Decoder()
    decoded = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        decoded += decoder.feed(stream[start:end])
    assert decoded == frames


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waited_on_but_never_another_error(garbage: bytes) -> None:
    decoder = Decoder()
    try:
        decoder.feed(garbage)
    except ProtocolError:
        return
    assert garbage == b"" or len(garbage) < 8 or sum(struct.unpack_from(">II", garbage)) + 8 > len(garbage)


def _frame(header: bytes) -> bytes:
    return struct.pack(">II", len(header), 0) + header


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type":"Nothing"}',
        b'{"type":["Ready"]}',
        b'{"type":"Cancel"}',
        b'{"type":"Ready","more":1}',
        b'{"type":"Cancel","id":7}',
        b'{"type":"Run","id":"p","input":[]}',
        b'{"type":"Output","id":"p","value":NaN,"append":true}',
        b'{"type":"Done","id":"p","status":"starting","error":null,"seconds":1}',
        b'{"type":"Cancel","id":"\xff"}',
        b"[" * 100_000,
    ],
)
def test_a_header_that_is_no_message_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(_frame(header))


@pytest.mark.parametrize("lengths", [(MAX_HEADER + 1, 0), (10, MAX_PAYLOAD + 1)])
def test_a_frame_over_a_limit_is_refused_before_it_has_come(lengths: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(struct.pack(">II", *lengths))


def test_a_message_over_the_limit_is_not_encoded_and_its_size_is_told() -> None:
    with pytest.raises(HeaderTooLargeError) as caught:
        encode(Output("p", "x" * MAX_HEADER, append=False))
    assert caught.value.size == MAX_HEADER + len('{"type":"Output","id":"p","value":"","append":false}')


def test_a_payload_over_the_limit_is_not_encoded() -> None:
    encode(OutputFile("p", 0, "f", last=True), b"x" * MAX_PAYLOAD)
    with pytest.raises(ProtocolError):
        encode(OutputFile("p", 0, "f", last=True), b"x" * (MAX_PAYLOAD + 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_is_not_json_is_not_encoded(value: Any) -> None:
    with pytest.raises(ProtocolError):
        encode(Output("p", value, append=False))


def test_lone_surrogates_become_replacement_characters_and_pairs_become_what_they_mean() -> None:
    given_text = "a\ud800b\udc00" + "\ud83d\ude00" + "\ud800"
    [(message, _)] = Decoder().feed(encode(Output("p", given_text, append=False)))
    assert isinstance(message, Output)
    assert message.value == "a\ufffdb\ufffd\U0001f600\ufffd"
