"""Bodies that are no create request at all: an answer in the 400s, and nothing left behind."""

import io
import json
import random
from collections.abc import AsyncIterator

import pytest

from api.asking import ask, count, raw
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 2_000_000
GOOD = json.dumps({"version": "test/echo", "input": {"text": "hi"}})


def nested(depth: int) -> bytes:
    return b'{"version":"test/echo","input":{"text":%s%s}}' % (b"[" * depth, b"]" * depth)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b"{'version': 'test/echo'}",
        b"version=test/echo",
        b'{"version":"test/echo","input":{"text":"hi"}} trailing',
        b'{"version":"test/echo","input":{"text":NaN}}',
        b'{"version":"test/echo","input":{"text":Infinity}}',
        b'{"version":"test/echo","input":{"text":-Infinity}}',
        b'{"version":"test/echo","input":{"text":1e999}}',
        b'{"version":"test/echo","input":{"text":%b}}' % (b"9" * 5000),
        b'{"version":"test/echo","input":{"text":"\xff\xfe"}}',
        b'{"version":"test/echo","input":{"text":"\xed\xa0\x80"}}',
        b'{"version":"test/echo","input":{"text":"\\ud800"}}',
        b'{"version":"test/echo","input":{"\\udfff":"x"}}',
        b'\xef\xbb\xbf{"version":"test/echo","input":{"text":"hi"}}',
        GOOD.encode("utf-16"),
        b"[]",
        b'["version"]',
        b'"text"',
        b"5",
        b"null",
        b"true",
        nested(300),
        nested(100_000),
        b"[" * 200_000,
        b'{"a":' * 200_000,
    ],
)
@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/models/test/echo/predictions"])
async def test_what_can_not_be_read_is_400_with_a_reason(server: Server, path: str, body: bytes) -> None:
    before = await count(server)
    answer = await ask(server, "POST", path, body)
    assert answer.status == 400, answer.body
    assert answer.problem["detail"].startswith("The request's body ")
    assert len(answer.body) < 500
    assert await count(server) == before


async def test_a_body_at_the_limit_is_read_and_one_beyond_it_is_413(server: Server) -> None:
    before = await count(server)
    text = GOOD.encode()
    answer = await ask(server, "POST", "/v1/predictions", io.BytesIO(text.ljust(LIMIT)))
    assert answer.status == 201
    answer = await ask(server, "POST", "/v1/predictions", io.BytesIO(text.ljust(LIMIT + 1)))
    assert (answer.status, answer.problem["detail"]) == (
        *(413, "The request's body is over the limit of 2,000,000 bytes."),
    )
    assert await count(server) == before + 1


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(server: Server) -> None:
    async def pieces(size: int) -> AsyncIterator[bytes]:
        yield GOOD.encode()
        for _ in range(size // 1000):
            yield b" " * 1000

    assert (await ask(server, "POST", "/v1/predictions", pieces(LIMIT // 2))).status == 201
    assert (await ask(server, "POST", "/v1/predictions", pieces(LIMIT))).status == 413


async def test_a_length_that_is_a_lie_or_nonsense_is_no_fault_of_ours(server: Server) -> None:
    before = await count(server)
    for length in (b"5", b"999999999999999", b"9" * 5000, b"-1", b"x", b"\xb2", b"1e3", b"", b"200"):
        head = f"POST /v1/predictions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n".encode()
        answer = await raw(server, b"%bcontent-length: %b\r\n\r\n%b" % (head, length, GOOD.encode()))
        assert not answer.startswith(b"HTTP/1.1 5"), (length, answer)
        assert b" 201 " not in answer
    assert await count(server) == before


async def test_the_content_type_does_not_matter(server: Server) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "\xff",
    ):
        answer = await ask(server, "POST", "/v1/predictions", GOOD.encode(), headers={"content-type": kind})
        assert answer.status == 201


@pytest.mark.parametrize("unit", [b"0,", b"[],", b'{"a":9},', b'"\\"",', b'"\\\\",', b'"a","b",'])
async def test_a_body_of_more_than_200_000_values_is_413(server: Server, unit: bytes) -> None:
    before = await count(server)
    body = b'{"version":"test/echo","input":{"text":"hi","x":[%b0]}}' % (unit * 200_000)
    answer = await ask(server, "POST", "/v1/predictions", io.BytesIO(body))
    assert answer.status == 413
    assert answer.problem["detail"].startswith("The request's body holds over 200,000 values")
    assert await count(server) == before


@pytest.mark.parametrize(
    "text",
    ["," * 300_000, '[\\"{' * 100_000, "\\" * 200_001 + '",[' * 100_000, '",' * 250_000],
    ids=["commas", "brackets", "backslashes", "quotes"],
)
async def test_commas_and_brackets_in_a_text_are_no_values(server: Server, text: str) -> None:
    body = json.dumps({"version": "test/echo", "input": {"text": text}}).encode()
    assert (await ask(server, "POST", "/v1/predictions", io.BytesIO(body))).status == 201


async def test_a_body_of_nearly_200_000_small_values_is_answered_soon(server: Server) -> None:
    """Each of them wrong: naming all would keep everybody waiting."""
    body = b'{"version":"test/picture","input":{"prompt":"a","tags":[%b0]}}' % (b"0," * 190_000)
    answer = await ask(server, "POST", "/v1/predictions", io.BytesIO(body))
    assert answer.status == 422
    assert answer.problem["invalid_fields"][0]["field"] == "input.tags.0"


def mutated(chance: random.Random, text: bytes) -> bytes:
    """Change a few bytes of a good request."""
    changed = bytearray(text)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(changed))
        changed[place : place + chance.randrange(2)] = chance.randbytes(chance.randrange(3))
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
async def test_a_request_with_some_bytes_changed_is_accepted_or_refused(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    good = b'{"version":"test/picture","input":{"prompt":"a\\u00e9","num_inference_steps":3},"stream":false}'
    for _ in range(150):
        answer = await ask(server, "POST", "/v1/predictions", mutated(chance, good))
        assert answer.status in (201, 400, 422), answer.body
