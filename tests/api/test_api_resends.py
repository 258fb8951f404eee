"""Sending again, pausing and resuming over the API: what goes out, what is refused, and what is told."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from api.asking import UNKNOWN_ID, ask
from support.receiver import Receiver, ok, receiving, status
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

DELIVERIES = "/v1/webhooks/deliveries"
ENDPOINTS = "/v1/webhooks/endpoints"


async def until(server: Server, prediction: str, holds: Callable[[list[dict[str, Any]]], bool]) -> Any:
    """The deliveries of a prediction, oldest first, once something holds of them."""
    async with asyncio.timeout(20):
        while True:
            _, page = await server.call("GET", f"{DELIVERIES}?prediction={prediction}")
            found = page["results"][::-1]
            if holds(found):
                return found
            await asyncio.sleep(0.01)  # a client's poll; there is no event to wait on


async def rung(server: Server, url: str, *events: str) -> list[dict[str, Any]]:
    """Create a prediction; give its deliveries once all are settled."""
    asked = {"webhook": url, "webhook_events_filter": list(events or ["completed"])}
    created = await server.create("test/echo", {"text": "hi"}, **asked)

    def are_settled(found: list[dict[str, Any]]) -> bool:
        return len(found) == len(asked["webhook_events_filter"]) and all(each["settled_at"] for each in found)

    found: list[dict[str, Any]] = await until(server, created["id"], are_settled)
    return found


async def post(server: Server, path: str, body: Any = None) -> Any:
    answer = await ask(server, "POST", path, {} if body is None else body)
    assert answer.status == 200, answer.body
    return answer.json


def is_now(status_: str, attempts: int) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda found: (found[-1]["status"], found[-1]["attempts"]) == (status_, attempts)


async def test_a_dead_delivery_is_sent_again_with_the_same_id_and_body_and_marked_as_asked_for(
    server: Server, receiver: Receiver
) -> None:
    receiver.answer = status(410)
    (dead,) = await rung(server, receiver.url)
    assert dead["status"] == "dead"
    receiver.answer = ok
    told = await post(server, f"{DELIVERIES}/{dead['id']}/resend")
    assert (told["id"], told["asked_at"] is not None) == (dead["id"], True)
    (found,) = await until(server, dead["prediction"], is_now("delivered", 2))
    first, second = receiver.of(dead["prediction"])
    assert (first.id, first.body) == (second.id, second.body)
    shown = (await ask(server, "GET", f"{DELIVERIES}/{dead['id']}")).json
    assert [(each["status"], each["asked"]) for each in shown["history"]] == [(410, False), (200, True)]
    assert found["last_attempt"]["asked"] is True


async def test_without_a_body_it_is_sent_again_too(server: Server, receiver: Receiver) -> None:
    (delivered,) = await rung(server, receiver.url)
    answer = await ask(server, "POST", f"{DELIVERIES}/{delivered['id']}/resend")
    assert answer.status == 200
    await until(server, delivered["prediction"], is_now("delivered", 2))


async def test_what_would_go_backwards_is_refused_unless_it_is_forced(
    server: Server, receiver: Receiver
) -> None:
    started, completed = await rung(server, receiver.url, "start", "completed")
    path = f"{DELIVERIES}/{started['id']}/resend"
    answer = await ask(server, "POST", path, {"force": False})
    assert answer.status == 409
    assert completed["id"] in answer.problem["detail"]
    assert len(receiver.of(started["prediction"])) == 2
    await post(server, path, {"force": True})
    await receiver.until(lambda r: len(r.of(started["prediction"])) == 3)
    assert receiver.of(started["prediction"])[-1].id == started["id"]


@pytest.mark.parametrize(
    ("id_", "body", "code"),
    [
        (f"evt_{UNKNOWN_ID}_1", {}, 404),
        (f"evt_{UNKNOWN_ID}_{'9' * 30}", {}, 404),
        ("nonsense", {}, 404),
        (f"evt_{UNKNOWN_ID}_1", {"force": "yes"}, 422),
        (f"evt_{UNKNOWN_ID}_1", {"forse": True}, 422),
    ],
)
async def test_what_can_not_be_sent_again(server: Server, id_: str, body: Any, code: int) -> None:
    answer = await ask(server, "POST", f"{DELIVERIES}/{id_}/resend", body)
    assert (answer.status, answer.problem["status"]) == (code, code)


async def test_all_dead_ones_of_an_endpoint_go_out_again_and_no_others(
    server: Server, receiver: Receiver
) -> None:
    receiver.answer = status(410)
    async with receiving() as other:
        other.answer = status(410)
        mine = [(await rung(server, f"{receiver.url}?n={number}"))[0] for number in range(3)]
        (elses,) = await rung(server, other.url)
        receiver.answer = other.answer = ok
        told = await post(server, "/v1/webhooks/resend", {"endpoint": f"{receiver.url}?whatever"})
        assert {name: told[name] for name in ("resent", "newer", "gone", "busy")} == {
            "resent": 3,
            "newer": 0,
            "gone": 0,
            "busy": 0,
        }
        assert told["takes"] > 0
        for each in mine:
            await until(server, each["prediction"], is_now("delivered", 2))
        assert len(other.of(elses["prediction"])) == 1
        assert (await post(server, "/v1/webhooks/resend", {"endpoint": receiver.url}))["resent"] == 0


async def test_only_those_of_a_time_go_out_again(server: Server, receiver: Receiver) -> None:
    receiver.answer = status(410)
    first, second, third = [(await rung(server, receiver.url))[0] for _ in range(3)]
    receiver.answer = ok
    asked = {"endpoint": receiver.url, "since": second["created_at"], "until": third["created_at"]}
    assert (await post(server, "/v1/webhooks/resend", asked))["resent"] == 1
    await until(server, second["prediction"], is_now("delivered", 2))
    for each in (first, third):
        assert len(receiver.of(each["prediction"])) == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/webhooks/resend", {"since": "yesterday"}, "since"),
        ("/v1/webhooks/resend", {"until": 5}, "until"),
        ("/v1/webhooks/resend", {"endpoint": "example.com"}, "endpoint"),
        ("/v1/webhooks/resend", {"endpoint": 5}, "endpoint"),
        ("/v1/webhooks/resend", {"endpiont": "http://example.com/"}, ""),
        (f"{ENDPOINTS}/pause", {}, ""),
        (f"{ENDPOINTS}/pause", {"url": "example.com"}, "url"),
        (f"{ENDPOINTS}/resume", {"url": 5}, "url"),
    ],
)
async def test_a_wish_that_is_wrong_is_refused_and_the_field_named(
    server: Server, path: str, body: Any, field: str
) -> None:
    answer = await ask(server, "POST", path, body)
    assert answer.status == 422
    assert [each["field"] for each in answer.problem["invalid_fields"]] == [field]


async def test_a_mass_resend_needs_a_body_that_says_so(server: Server) -> None:
    assert (await ask(server, "POST", "/v1/webhooks/resend")).status == 400


async def test_a_paused_endpoint_gets_nothing_until_it_is_resumed_and_then_all(
    server: Server, receiver: Receiver
) -> None:
    told = await post(server, f"{ENDPOINTS}/pause", {"url": receiver.url + "?x=1"})
    assert (told["url"], told["state"], told["because_of"]) == (receiver.url, "paused", "endpoint")
    created = await server.create(
        "test/echo", {"text": "hi"}, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    await server.ended(created["id"])
    (waits,) = await until(server, created["id"], bool)
    assert (waits["status"], waits["attempts"], waits["next_attempt_at"]) == ("pending", 0, None)
    assert waits["waits_for"] == "the endpoint is paused; it goes out once that is ended"
    answer = await ask(server, "POST", f"{DELIVERIES}/{waits['id']}/resend")
    assert (answer.status, "paused" in answer.problem["detail"]) == (409, True)
    page = (await ask(server, "GET", ENDPOINTS)).json
    assert page["results"][0] == {**told, "waiting": {"count": 1, "more": False}}
    assert receiver.received == []
    told = await post(server, f"{ENDPOINTS}/resume", {"url": receiver.url})
    assert told["paused_at"] is None
    await receiver.until(lambda r: len(r.of(created["id"])) == 1)


async def test_a_pause_holds_only_its_own_url(server: Server, receiver: Receiver) -> None:
    await post(server, f"{ENDPOINTS}/pause", {"url": receiver.url + "/held"})
    await rung(server, receiver.url + "/free")
    await post(server, f"{ENDPOINTS}/resume", {"url": receiver.url + "/held"})


@pytest.mark.parametrize(
    "path",
    [
        f"{DELIVERIES}/evt_{UNKNOWN_ID}_1/resend",
        "/v1/webhooks/resend",
        f"{ENDPOINTS}/pause",
        f"{ENDPOINTS}/resume",
    ],
)
async def test_without_a_token_nothing_is_sent_or_held(server: Server, path: str) -> None:
    assert (await ask(server, "POST", path, {}, token=None)).status == 401


async def test_an_attempt_in_flight_is_not_doubled(server: Server, receiver: Receiver) -> None:
    receiver.hold()
    created = await server.create(
        "test/echo", {"text": "hi"}, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    await receiver.until(lambda r: r.held == 1)
    answer = await ask(server, "POST", f"{DELIVERIES}/evt_{created['id']}_1/resend", {"force": True})
    assert (answer.status, "in flight" in answer.problem["detail"]) == (409, True)
    receiver.release()
    await until(server, created["id"], is_now("delivered", 1))
