"""Canceling: at once, once, and whatever the runner does."""

import json
from typing import Any

import pytest

from api.asking import NOT_FOUND, UNKNOWN_ID, ask
from support.receiver import Receiver
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def running(server: Server, receiver: Receiver, *events: str) -> str:
    """Create a prediction that never ends, and wait until it runs."""
    created = await server.create(
        "test/patient", {}, webhook=receiver.url, webhook_events_filter=["start", *events]
    )
    await receiver.until(lambda r: any(created["id"] in item.id for item in r.acknowledged))
    return str(created["id"])


async def cancel(server: Server, id_: str, body: Any = None, **headers: str) -> Any:
    answer = await ask(server, "POST", f"/v1/predictions/{id_}/cancel", body, headers=headers)
    assert answer.status == 200, answer.body
    return answer.json


async def test_a_running_prediction_is_canceled_at_once_and_told(server: Server, receiver: Receiver) -> None:
    id_ = await running(server, receiver, "completed")
    canceled = await cancel(server, id_)
    assert canceled["status"] == "canceled"
    assert canceled["completed_at"] is not None
    assert canceled["metrics"]["predict_time"] > 0
    assert canceled["output"] == ["hello"]
    await receiver.until(lambda r: r.acknowledged[-1].event == "completed")
    assert json.loads(receiver.received[-1].body) == canceled
    assert (await ask(server, "GET", f"/v1/predictions/{id_}")).json == canceled


async def test_the_next_one_runs_after_a_cancel(server: Server, receiver: Receiver) -> None:
    first = await running(server, receiver)
    await cancel(server, first)
    second = await running(server, receiver)
    await cancel(server, second)


async def test_a_queued_prediction_is_canceled_and_never_runs(server: Server, receiver: Receiver) -> None:
    first = await running(server, receiver)
    queued = await server.create(
        "test/patient", {}, webhook=receiver.url, webhook_events_filter=["start", "completed"]
    )
    canceled = await cancel(server, queued["id"])
    assert (canceled["status"], canceled["started_at"], canceled["output"]) == ("canceled", None, None)
    await receiver.until(lambda r: len(r.of(queued["id"])) == 1)
    await cancel(server, first)
    last = await running(server, receiver)
    assert [item.event for item in receiver.of(queued["id"])] == ["completed"]
    await cancel(server, last)


async def test_canceling_what_has_ended_changes_nothing(server: Server, receiver: Receiver) -> None:
    created = await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
    ended = await server.ended(created["id"])
    await receiver.until(lambda r: len(r.acknowledged) == 1)
    assert await cancel(server, created["id"]) == ended
    assert await cancel(server, created["id"]) == ended
    assert len(receiver.received) == 1


@pytest.mark.parametrize("body", [None, b"", b"{}", b"null", b"junk", b"\xff" * 1000])
async def test_the_body_of_a_cancel_does_not_matter(server: Server, body: bytes | None) -> None:
    created = await server.create("test/patient", {})
    for kind in ("application/json", "text/plain"):
        canceled = await cancel(server, created["id"], body, **{"content-type": kind})
        assert canceled["status"] == "canceled"


async def test_canceling_what_is_unknown_is_not_found(server: Server) -> None:
    answer = await ask(server, "POST", f"/v1/predictions/{UNKNOWN_ID}/cancel")
    assert (answer.status, answer.problem) == (404, NOT_FOUND)
