"""`Prefer: wait`: the end of it in the answer if it comes in time, else as if it had just been made."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from api.asking import Answer, ask
from api.gate import gated
from ringback.api.preferences import LONGEST_WAIT_S, asked
from ringback.words.errors import Invalid
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def create(server: Server, version: str, input_: dict[str, Any], prefer: str) -> Answer:
    body = {"version": version, "input": input_}
    answer = await ask(server, "POST", "/v1/predictions", body, headers={"prefer": prefer})
    assert answer.status == 201, answer.body
    return answer


async def test_the_answer_is_the_end_of_it(server: Server) -> None:
    answer = await create(server, "test/echo", {"text": "hi"}, "wait")
    assert answer.json["status"] == "succeeded"
    assert answer.json["output"] is not None
    assert answer.headers["preference-applied"] == "wait"
    assert answer.json == (await ask(server, "GET", f"/v1/predictions/{answer.json['id']}")).json


async def test_a_failure_and_a_cancel_are_ends_too(server: Server) -> None:
    failed = await create(server, "test/gated", {"gate": "/no/such/pipe"}, "wait=20")
    assert failed.json["status"] == "failed"
    waiting = asyncio.create_task(create(server, "test/patient", {}, "wait=30"))
    newest = "test/echo"
    while newest != "test/patient":
        found = (await ask(server, "GET", "/v1/predictions")).json["results"][0]
        newest = found["model"]
    await ask(server, "POST", f"/v1/predictions/{found['id']}/cancel")
    assert (await waiting).json["status"] == "canceled"


async def test_after_the_time_it_is_starting_although_it_runs_and_has_given_output(server: Server) -> None:
    answer = await create(server, "test/patient", {}, "respond-async, wait=1")
    assert (answer.json["status"], answer.json["output"], answer.json["started_at"]) == (
        "starting",
        None,
        None,
    )
    assert answer.headers["preference-applied"] == "wait=1"
    now = await server.reached(answer.json["id"], "processing")
    assert now["output"] == ["hello"]
    await ask(server, "POST", f"/v1/predictions/{answer.json['id']}/cancel")


async def test_without_the_preference_nothing_is_held(server: Server, tmp_path: Path) -> None:
    async with gated(server, tmp_path) as gate:
        assert gate.prediction["status"] == "starting"
        gate.finish()


def preferring(*values: str, **more: str) -> Request:
    headers = [(b"prefer", value.encode()) for value in values]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("wait", LONGEST_WAIT_S),
        ("wait=1", 1.0),
        ("wait = 7", 7.0),
        ("Wait=60", LONGEST_WAIT_S),
        ("wait=99", LONGEST_WAIT_S),
        ("wait=600000", LONGEST_WAIT_S),
        ("respond-async, wait=10", 10.0),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("await", None),
        ("", None),
        ("respond-async", None),
    ],
)
async def test_what_is_a_wait(value: str, seconds: float | None) -> None:
    assert asked(preferring(value)).wait_s == seconds


async def test_the_longest_wait_ends_before_the_clients_give_up() -> None:
    # The newest Python client reads for 60 s at most, and makes the request again then.
    assert LONGEST_WAIT_S < 60


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("30", 30), ("30s", 30), ("5m", 300), ("1h30m45s", 5445), ("24h", 86400), ("5", 5), ("1h", 3600)],
)
async def test_what_is_a_time_to_cancel_after(value: str, seconds: int) -> None:
    assert asked(preferring(cancel_after=value)).cancel_after_us == seconds * 1_000_000


@pytest.mark.parametrize(
    "value", ["", "4", "4s", "0", "25h", "86401", "-5", "1.5m", "m", "5x", "1m1h", "9" * 400]
)
async def test_what_is_none(value: str) -> None:
    with pytest.raises(Invalid) as raised:
        asked(preferring(cancel_after=value))
    assert [field.field for field in raised.value.fields] == ["Cancel-After"]


@pytest.mark.parametrize("value", ["", "a b", "x" * 256, "ä"])
async def test_what_is_no_idempotency_key(value: str) -> None:
    with pytest.raises(Invalid) as raised:
        asked(preferring(idempotency_key=value))
    assert [field.field for field in raised.value.fields] == ["Idempotency-Key"]


async def test_wrong_headers_are_a_422_that_names_them_and_nothing_is_created(server: Server) -> None:
    body = {"version": "test/echo", "input": {"text": "hi"}}
    before = (await ask(server, "GET", "/v1/predictions")).json["results"][0]["id"]
    answer = await ask(server, "POST", "/v1/predictions", body, headers={"cancel-after": "soon"})
    assert answer.status == 422
    assert answer.problem["invalid_fields"][0]["field"] == "Cancel-After"
    assert (await ask(server, "GET", "/v1/predictions")).json["results"][0]["id"] == before
