"""The webhook given with a prediction: what is no URL, or leads where it may not, is refused at once."""

from typing import Any

import pytest

from api.asking import ask, count
from support.receiver import Receiver
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def fault(server: Server, **more: Any) -> list[dict[str, str]]:
    """Give the faults of a create request that must be refused."""
    before = await count(server)
    answer = await ask(
        server, "POST", "/v1/predictions", {"version": "test/echo", "input": {"text": "hi"}, **more}
    )
    assert answer.status == 422, answer.body
    assert await count(server) == before
    found: list[dict[str, str]] = answer.problem["invalid_fields"]
    return found


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with http:// or https://"),
        ("example.com/hook", "must begin with http:// or https://"),
        ("ftp://example.com/", "must begin with http:// or https://"),
        ("file:///etc/passwd", "must begin with http:// or https://"),
        ("javascript:alert(1)", "must begin with http:// or https://"),
        ("http://", "has no host"),
        ("https://example.com:99999/", "has a port"),
        ("https://exa mple.com/", "contains spaces"),
        ("https://example.com/\r\nx-evil: 1", "contains spaces"),
        ("https://a@b@example.com/", "is ambiguous"),
        ("https://us%3Aer:pw@example.com/", "has a user name with a colon"),
        ("https://us%3aer@example.com/", "has a user name with a colon"),
        ("https://us\u0142er:pw@example.com/", "has a user name or password with characters beyond Latin-1"),
        ("https://user:%E2%82%AC@example.com/", "has a user name or password with characters beyond Latin-1"),
        ("https://example.com/" + "a" * 3000, "is longer than 2048 bytes"),
        ("http://10.0.0.1/", "10.0.0.1 is a private address"),
        ("http://167772161/", "10.0.0.1 is a private address"),
        ("http://0xa000001/", "10.0.0.1 is a private address"),
        ("http://012.0.0.1/", "10.0.0.1 is a private address"),
        ("http://10.1/", "10.0.0.1 is a private address"),
        ("http://\uff11\uff10.0.0.1/", "10.0.0.1 is a private address"),
        ("http://user:pw@10.0.0.1:8080/x?y=1", "10.0.0.1 is a private address"),
        ("http://[::ffff:10.0.0.1]/", "10.0.0.1 is a private address"),
        ("http://[64:ff9b::a00:1]/", "is the NAT64 form of 10.0.0.1"),
        ("http://[2002:a00:1::]/", "is the 6to4 form of 10.0.0.1"),
        ("http://169.254.169.254/latest/meta-data/", "is a cloud metadata address"),
        ("http://2852039166/", "is a cloud metadata address"),
        ("http://0xa9fea9fe/", "is a cloud metadata address"),
        ("http://0251.0376.0251.0376/", "is a cloud metadata address"),
        ("http://169.254.43518/", "is a cloud metadata address"),
        ("http://[fd00:ec2::254]/", "is a private (unique local) address"),
        ("http://192.168.0.1/", "is a private address"),
        ("http://0/", "is an address of this machine"),
        ("http://[::]/", "is an address of this machine"),
        ("http://224.0.0.1/", "is a multicast address"),
        ("http://[fe80::1]/", "is a link-local address"),
    ],
)
@pytest.mark.parametrize("key", ["webhook", "webhook_completed"])
async def test_a_url_that_can_not_be_used_is_refused_with_the_reason(
    server: Server, key: str, url: str, reason: str
) -> None:
    (found,) = await fault(server, **{key: url})
    assert (found["type"], found["field"]) == ("format", key)
    assert found["description"].startswith("The URL ")
    assert reason in found["description"]


@pytest.mark.parametrize("url", [5, True, [], {}, ["http://example.com/"]])
@pytest.mark.parametrize("key", ["webhook", "webhook_completed"])
async def test_what_is_no_text_is_refused(server: Server, key: str, url: Any) -> None:
    (found,) = await fault(server, **{key: url})
    assert found == {"type": "invalid_type", "field": key, "description": "Invalid type. Expected: string"}


@pytest.mark.parametrize("user", ["us%C3%A9r:p%3Aw", "a:%FF", ":pw", "us%40er:pw"])
async def test_a_user_that_can_be_sent_is_accepted(server: Server, receiver: Receiver, user: str) -> None:
    url = receiver.url.replace("://", f"://{user}@")
    created = await server.create("test/echo", {"text": "hi"}, webhook=url)
    await receiver.until(lambda r: bool(r.of(created["id"])))
    headers = {name.lower(): value for name, value in receiver.of(created["id"])[0].headers.items()}
    assert headers["authorization"].startswith("Basic ")


async def test_both_urls_are_checked(server: Server) -> None:
    found = await fault(server, webhook="https://example.com/", webhook_completed="ftp://example.com/")
    assert [item["field"] for item in found] == ["webhook_completed"]


async def test_a_server_on_loopback_may_ring_back_on_loopback(server: Server) -> None:
    for url in ("http://127.0.0.1:9/", "http://[::1]:9/", "http://localhost:9/", "http://2130706433:9/"):
        created = await server.create("test/echo", {"text": "hi"}, webhook=url)
        assert created["webhook"] == url
        assert created["webhook_events_filter"] == ["output", "completed"]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (["finished"], "0"),
        (["start", "output", "logs", "completed", "aborted"], "4"),
        (["completed", None], "1"),
        (["completed", ["start"]], "1"),
        (["completed", {"start": 1}], "1"),
        (["COMPLETED"], "0"),
        (["start"] * 50 + ["finished"], "50"),
    ],
)
async def test_an_event_that_does_not_exist_is_refused_and_the_others_are_listed(
    server: Server, given: Any, place: str
) -> None:
    assert await fault(server, webhook="https://example.com/", webhook_events_filter=given) == [
        {
            "type": "enum",
            "field": f"webhook_events_filter.{place}",
            "description": 'Must be one of the following: "start", "output", "logs", "completed"',
        }
    ]


@pytest.mark.parametrize("given", ["completed", {"completed": True}, 5, True])
async def test_a_filter_that_is_no_list_is_refused(server: Server, given: Any) -> None:
    (found,) = await fault(server, webhook_events_filter=given)
    assert (found["type"], found["field"]) == ("invalid_type", "webhook_events_filter")


async def test_a_hundred_thousand_unknown_events_are_twenty_faults(server: Server) -> None:
    assert len(await fault(server, webhook_events_filter=["x"] * 100_000)) == 20


@pytest.mark.parametrize(
    ("given", "echoed"),
    [
        (["completed"], ["completed"]),
        (["completed", "start", "completed"], ["start", "completed"]),
        (None, ["output", "completed"]),
    ],
)
async def test_a_filter_is_shown_without_repeats(server: Server, given: Any, echoed: list[str]) -> None:
    created = await server.create(
        "test/echo", {"text": "hi"}, webhook="http://127.0.0.1:9/", webhook_events_filter=given
    )
    assert created["webhook_events_filter"] == echoed


async def test_an_empty_filter_asks_for_nothing(server: Server) -> None:
    created = await server.create(
        "test/echo", {"text": "hi"}, webhook="http://127.0.0.1:9/", webhook_events_filter=[]
    )
    assert (await server.ended(created["id"]))["status"] == "succeeded"


async def test_the_older_key_asks_for_completed_only(server: Server) -> None:
    created = await server.create("test/echo", {"text": "hi"}, webhook_completed="http://127.0.0.1:9/")
    assert (created["webhook"], created["webhook_events_filter"]) == ("http://127.0.0.1:9/", ["completed"])
