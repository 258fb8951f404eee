"""Deliveries over the API: the list and its filters, one with its attempts, endpoints, a test delivery."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from standardwebhooks import Webhook

from api.asking import UNKNOWN_ID, ask
from ringback.api.samples import _told
from ringback.deliver.sample import Sent
from ringback.rules.attempt import Result
from support.receiver import Receiver, receiving, status
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIST = "/v1/webhooks/deliveries"
KEYS = {
    *("id", "prediction", "event", "status", "endpoint", "attempts", "created_at", "settled_at"),
    *("next_attempt_at", "waits_for", "asked_at", "reason", "last_attempt", "digest", "length"),
}


def gone(_received: Any) -> web.StreamResponse:
    return web.Response(status=410, text="we have moved out")


@pytest_asyncio.fixture(loop_scope="module")
async def refusing() -> AsyncIterator[Receiver]:
    """A receiver that wants no more of it."""
    async with receiving() as found:
        found.answer = gone
        yield found


async def listed(server: Server, query: str = "") -> list[dict[str, Any]]:
    """Everything that a query gives, over all pages."""
    path: str | None = f"{LIST}?{query}"
    found: list[dict[str, Any]] = []
    while path is not None:
        answer = await ask(server, "GET", path)
        assert answer.status == 200, answer.body
        found += answer.json["results"]
        following = answer.json["next"]
        assert following is None or following.startswith(f"{server.url}{LIST}?")
        path = following and following.removeprefix(server.url)
    return found


async def settled(server: Server, prediction: str, count: int = 1) -> list[dict[str, Any]]:
    """The deliveries of a prediction, once `count` of them are settled."""
    async with asyncio.timeout(20):
        while True:
            found = await listed(server, f"prediction={prediction}")
            if sum(each["settled_at"] is not None for each in found) >= count:
                return found
            await asyncio.sleep(0.01)  # a client's poll; there is no event to wait on


async def rung(server: Server, receiver: Receiver, url: str = "", **more: Any) -> dict[str, Any]:
    """Create a prediction that rings once; give that delivery when it is settled."""
    asked = {"webhook": url or receiver.url, "webhook_events_filter": ["completed"], **more}
    created = await server.create("test/echo", {"text": "hi"}, **asked)
    (found,) = await settled(server, created["id"])
    return found


async def test_an_acknowledged_delivery_tells_its_story(server: Server, receiver: Receiver) -> None:
    found = await rung(server, receiver, receiver.url + "?secret=xyzzy")
    assert set(found) == KEYS
    assert found["id"] == f"evt_{found['prediction']}_1"
    assert (found["event"], found["status"], found["attempts"]) == ("completed", "delivered", 1)
    assert found["endpoint"] == receiver.url
    assert found["created_at"] <= found["settled_at"]
    assert (found["next_attempt_at"], found["waits_for"], found["asked_at"]) == (None, None, None)
    last = found["last_attempt"]
    assert (last["number"], last["cause"], last["status"], last["diagnosis"]) == (
        1,
        "acknowledged",
        200,
        None,
    )
    assert 0 < last["duration"] < 10
    assert found["length"] == len(receiver.of(found["prediction"])[0].body)


async def test_a_dead_delivery_says_why_and_keeps_its_body_without_the_urls_secrets(
    server: Server, refusing: Receiver
) -> None:
    secret = refusing.url.replace("://", "://user:pass-word@") + "?token=xyzzy"
    found = await rung(server, refusing, secret)
    assert found["status"] == "dead"
    answer = await ask(server, "GET", f"{LIST}/{found['id']}")
    shown = answer.json
    assert {name: shown[name] for name in KEYS} == found
    (attempt,) = shown["history"]
    assert (attempt["status"], attempt["excerpt"]) == (410, "we have moved out")
    assert attempt["diagnosis"] == "answered 410 Gone: no more is sent"
    assert (attempt["asked"], attempt["resent"]) == (False, False)
    body = json.loads(shown["body"])
    assert body["webhook"] == refusing.url + "?token=***"
    assert body["output"] == "hi"
    for text in (b"xyzzy", b"pass-word"):
        assert text not in answer.body
        assert text not in json.dumps(found).encode()


async def test_the_body_of_a_delivered_one_is_no_longer_kept(server: Server, receiver: Receiver) -> None:
    found = await rung(server, receiver)
    shown = (await ask(server, "GET", f"{LIST}/{found['id']}")).json
    assert shown["body"] is None
    assert len(shown["digest"]) == 64


async def test_a_pending_delivery_says_when_it_goes_out_again(server: Server, receiver: Receiver) -> None:
    receiver.answer = status(400, {"retry-after": "3600"})
    created = await server.create(
        "test/echo", {"text": "hi"}, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    async with asyncio.timeout(20):
        while True:
            found = await listed(server, f"prediction={created['id']}")
            if found and found[0]["last_attempt"]:
                break
            await asyncio.sleep(0.01)  # a client's poll; there is no event to wait on
    (pending,) = found
    assert pending["status"] == "pending"
    assert pending["next_attempt_at"] > pending["last_attempt"]["at"]
    assert pending["last_attempt"]["diagnosis"].startswith("answered 400")
    assert pending in await listed(server, "status=pending")


async def test_an_attempt_under_way_is_said_to_be_that(server: Server, receiver: Receiver) -> None:
    receiver.hold()
    created = await server.create(
        "test/echo", {"text": "hi"}, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    await receiver.until(lambda r: r.held == 1)
    (found,) = await listed(server, f"prediction={created['id']}")
    assert (found["status"], found["attempts"], found["last_attempt"]) == ("pending", 1, None)
    assert (found["next_attempt_at"], found["waits_for"]) == (None, "an attempt is under way")
    receiver.release()
    await settled(server, created["id"])


async def test_the_list_is_newest_first_and_its_pages_follow_each_other(
    server: Server, receiver: Receiver
) -> None:
    ids = [(await rung(server, receiver))["id"] for _ in range(5)]
    endpoint = f"endpoint={receiver.url}"
    assert [each["id"] for each in await listed(server, endpoint)] == ids[::-1]
    for limit in (1, 2, 5, 1000):
        assert [each["id"] for each in await listed(server, f"{endpoint}&limit={limit}")] == ids[::-1], limit
    answer = await ask(server, "GET", f"{LIST}?{endpoint}&limit=2")
    assert set(answer.json) == {"next", "results"}
    assert len(answer.json["results"]) == 2


async def test_filters_can_be_combined(server: Server, receiver: Receiver, refusing: Receiver) -> None:
    delivered, dead = await rung(server, receiver), await rung(server, refusing)
    for query, expected in (
        (f"endpoint={refusing.url}?whatever=1", [dead["id"]]),
        (f"endpoint={refusing.url}&status=delivered", []),
        (f"prediction={dead['prediction']}&status=dead&event=completed", [dead["id"]]),
        (f"status=dead&created_after={dead['created_at']}", [dead["id"]]),
        (f"created_after={delivered['created_at']}&created_before={dead['created_at']}", [delivered["id"]]),
    ):
        assert [each["id"] for each in await listed(server, query)] == expected, query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=lost", "status"),
        ("status=", "status"),
        ("event=finished", "event"),
        ("prediction=x", "prediction"),
        ("endpoint=example.com", "endpoint"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-11-22T07:26:00", "created_after"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-5", "limit"),
        ("limit=ten", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=MS4y", "cursor"),
        ("stauts=dead", ""),
    ],
)
async def test_a_filter_that_is_wrong_or_unknown_is_refused_and_named(
    server: Server, query: str, field: str
) -> None:
    answer = await ask(server, "GET", f"{LIST}?{query}")
    assert answer.status == 422
    assert [each["field"] for each in answer.problem["invalid_fields"]] == [field]


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00%2B23:00", "1969-12-31T00:00:00Z", "9999-12-31T23:00:00Z"]
)
async def test_a_time_before_or_after_everything_is_a_time(
    server: Server, receiver: Receiver, time: str
) -> None:
    id_ = (await rung(server, receiver))["id"]
    for status_ in ("", "&status=delivered", "&status=dead", "&status=pending"):
        for name in ("created_before", "created_after"):
            found = [each["id"] for each in await listed(server, f"{name}={time}{status_}")]
            holds_all = (time > "2") == (name == "created_before") and status_ in ("", "&status=delivered")
            assert (id_ in found) == holds_all, (name, status_)


@pytest.mark.parametrize(
    "id_",
    [
        f"evt_{UNKNOWN_ID}_1",
        UNKNOWN_ID,
        f"evt_{UNKNOWN_ID}_0",
        f"evt_{UNKNOWN_ID}_{'9' * 30}",
        "evt_",
        "x" * 5000,
        "%00",
    ],
)
async def test_a_delivery_that_does_not_exist_is_not_found(server: Server, id_: str) -> None:
    answer = await ask(server, "GET", f"{LIST}/{id_}")
    assert (answer.status, answer.problem["status"]) == (404, 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", LIST),
        ("GET", f"{LIST}/evt_{UNKNOWN_ID}_1"),
        ("GET", "/v1/webhooks/endpoints"),
        ("POST", "/v1/webhooks/test"),
    ],
)
async def test_without_a_token_nothing_is_told(server: Server, method: str, path: str) -> None:
    assert (await ask(server, method, path, token=None)).status == 401
    assert (await ask(server, method, path, token=f"{TOKEN}x")).status == 401


# Endpoints


async def test_endpoints_are_listed_with_how_they_are(
    server: Server, receiver: Receiver, refusing: Receiver
) -> None:
    await rung(server, receiver)
    dead = await rung(server, refusing)
    answer = await ask(server, "GET", "/v1/webhooks/endpoints")
    found = {each["url"]: each for each in answer.json["results"]}
    assert (found[receiver.url]["state"], found[receiver.url]["diagnosis"]) == ("open", None)
    told = found[refusing.url]
    assert told["dead"] == {"count": 1, "more": False}
    assert told["waiting"] == {"count": 0, "more": False}
    assert (told["state"], told["because_of"]) == ("failing", "endpoint")
    assert (told["failures"], told["diagnosis"]) == (1, dead["last_attempt"]["diagnosis"])


async def test_a_cursor_of_endpoints_that_is_none_is_refused(server: Server) -> None:
    assert (await ask(server, "GET", "/v1/webhooks/endpoints?cursor=%ff")).status == 422


# A test delivery


async def probed(server: Server, **body: Any) -> dict[str, Any]:
    answer = await ask(server, "POST", "/v1/webhooks/test", body)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def test_a_test_delivery_is_one_signed_attempt_and_leaves_no_trace(
    server: Server, receiver: Receiver
) -> None:
    before = await listed(server)
    found = await probed(server, url=receiver.url + "?user=7")
    assert (found["delivered"], found["cause"], found["status"]) == (True, "acknowledged", 200)
    assert (found["diagnosis"], found["excerpt"]) == (None, '{"ok": true}')
    (item,) = receiver.received
    assert (item.path, item.event, item.headers["ringback-test"]) == ("/hook?user=7", "completed", "1")
    assert item.body.decode() == found["request"]["body"]
    assert {name: item.headers[name] for name in found["request"]["headers"]} == found["request"]["headers"]
    Webhook(await server.secret()).verify(item.body, item.headers)
    assert item.prediction["status"] == "succeeded"
    assert item.prediction["webhook"] == receiver.url + "?user=7"
    assert (await ask(server, "GET", f"/v1/predictions/{item.prediction['id']}")).status == 404
    assert await listed(server) == before


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("start", ("processing", False)),
        ("output", ("processing", True)),
        ("logs", ("processing", True)),
        ("completed", ("succeeded", True)),
    ],
)
async def test_each_event_looks_like_a_real_one(
    server: Server, receiver: Receiver, event: str, expected: tuple[str, bool]
) -> None:
    await probed(server, url=receiver.url, event=event)
    (item,) = receiver.received
    told = item.prediction
    assert item.event == event
    assert (told["status"], told["output"] is not None) == expected
    assert (told["completed_at"] is not None) == (event == "completed")
    assert told["webhook_events_filter"] == [event]


async def test_with_a_model_the_prediction_has_that_models_shape(
    server: Server, receiver: Receiver, version: str
) -> None:
    await probed(server, url=receiver.url, model="test/echo")
    (item,) = receiver.received
    assert (item.prediction["model"], item.prediction["version"]) == ("test/echo", version)
    created = await server.create("test/echo", item.prediction["input"])
    assert set(await server.ended(created["id"])) <= set(item.prediction)


@pytest.mark.parametrize("code", [301, 404, 500])
async def test_a_test_delivery_that_fails_says_what_to_do_and_is_not_repeated(
    server: Server, receiver: Receiver, code: int
) -> None:
    receiver.answer = status(code, {"location": "https://example.com/new?key=xyzzy"})
    found = await probed(server, url=receiver.url)
    assert (found["delivered"], found["status"]) == (False, code)
    assert found["diagnosis"].startswith(f"answered {code}")
    assert "xyzzy" not in found["diagnosis"]
    assert len(receiver.received) == 1


async def test_nothing_of_a_refused_address_is_shown(server: Server) -> None:
    answer = await ask(server, "POST", "/v1/webhooks/test", {"url": "http://169.254.169.254/"})
    assert answer.status == 422
    assert "is a cloud metadata address" in answer.problem["detail"]
    result = Result("refused", "refused: 10.0.0.5 is a private address", None, "what it said", 1000)
    assert json.loads(_told(Sent({}, b"{}", result)))["excerpt"] is None


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, [""]),
        ({"url": 5}, ["url"]),
        ({"url": "example.com"}, ["url"]),
        ({"url": "http://10.0.0.1/"}, ["url"]),
        ({"url": "https://example.com/", "event": "finished"}, ["event"]),
        ({"url": "https://example.com/", "event": ["start"]}, ["event"]),
        ({"url": "https://example.com/", "model": 5}, ["model"]),
        ({"url": "https://example.com/", "modle": "a/b"}, [""]),
    ],
)
async def test_a_wrong_request_for_a_test_is_refused(
    server: Server, body: dict[str, Any], fields: list[str]
) -> None:
    answer = await ask(server, "POST", "/v1/webhooks/test", body)
    assert answer.status == 422
    assert [each["field"] for each in answer.problem["invalid_fields"]] == fields


async def test_a_test_with_a_model_that_is_not_served_is_not_found(server: Server) -> None:
    body = {"url": "https://example.com/", "model": "no/such"}
    assert (await ask(server, "POST", "/v1/webhooks/test", body)).status == 404


async def test_four_tests_at_a_time_and_no_more(server: Server, receiver: Receiver) -> None:
    receiver.hold()
    async with asyncio.TaskGroup() as group:
        under_way = [group.create_task(probed(server, url=receiver.url)) for _ in range(4)]
        await receiver.until(lambda r: r.held == 4)
        answer = await ask(server, "POST", "/v1/webhooks/test", {"url": receiver.url})
        assert (answer.status, answer.problem["status"]) == (429, 429)
        assert int(answer.headers["retry-after"]) > 0
        receiver.release()
    assert all(task.result()["delivered"] for task in under_way)
    assert (await probed(server, url=receiver.url))["delivered"]
