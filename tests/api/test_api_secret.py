"""The signing secret: read it either way, rotate it, and both sign meanwhile."""

import asyncio
import base64

import pytest

from api.asking import Answer, ask
from ringback.words.signature import VerificationError, verify
from support.receiver import Received, Receiver, status
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "/v1/webhooks/default/secret"


async def rung(server: Server, receiver: Receiver) -> Received:
    """Make a prediction and give its delivery."""
    created = await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
    await receiver.until(lambda r: any(created["id"] in item.id for item in r.received))
    return receiver.of(created["id"])[0]


def signed_with(item: Received, secret: str) -> bool:
    stamp = item.headers["webhook-timestamp"]
    try:
        verify(secret, item.id, stamp, item.body, item.headers["webhook-signature"], now=int(stamp))
    except VerificationError:
        return False
    return True


def key(answer: Answer) -> str:
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json) == {"key"}
    return str(answer.json["key"])


async def test_the_secret_is_the_same_however_and_however_often_it_is_asked_for(server: Server) -> None:
    found = {key(await ask(server, method, SECRET)) for method in ("GET", "POST", "POST", "GET")}
    assert len(found) == 1
    prefix, encoded = found.pop().split("_")  # the clients split it at `_`, so there is only that one
    assert prefix == "whsec"
    assert len(base64.b64decode(encoded, validate=True)) == 32
    for body in (b"", b"{}", b"junk"):
        assert key(await ask(server, "POST", SECRET, body)) == f"whsec_{encoded}"


async def test_a_new_secret_signs_at_once_and_the_one_before_goes_on(
    server: Server, receiver: Receiver
) -> None:
    first = key(await ask(server, "GET", SECRET))
    assert signed_with(await rung(server, receiver), first)
    second = key(await ask(server, "POST", f"{SECRET}/rotate"))
    assert second != first
    assert key(await ask(server, "GET", SECRET)) == second
    third = key(await ask(server, "POST", f"{SECRET}/rotate"))
    item = await rung(server, receiver)
    assert [signed_with(item, secret) for secret in (first, second, third)] == [True, True, True]
    assert not signed_with(item, "whsec_" + base64.b64encode(b"x" * 32).decode())
    assert len(item.headers["webhook-signature"].split(" ")) == 6


async def test_at_most_the_newest_three_secrets_sign(server: Server, receiver: Receiver) -> None:
    made = [key(await ask(server, "POST", f"{SECRET}/rotate")) for _ in range(5)]
    item = await rung(server, receiver)
    assert [signed_with(item, secret) for secret in made] == [False, False, True, True, True]
    assert len(item.headers["webhook-signature"].split(" ")) == 6


async def test_what_is_sent_again_after_a_rotation_is_signed_with_the_new_secret_too(
    server: Server, receiver: Receiver
) -> None:
    receiver.answer = status(503, {"retry-after": "0"})
    created = await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
    await receiver.until(lambda r: len(r.of(created["id"])) == 1)
    new = key(await ask(server, "POST", f"{SECRET}/rotate"))
    await receiver.until(lambda r: len(r.of(created["id"])) == 2)
    first, second = receiver.of(created["id"])
    assert (first.id, first.body) == (second.id, second.body)
    assert [signed_with(first, new), signed_with(second, new)] == [False, True]
    await ask(server, "POST", f"/v1/predictions/{created['id']}/cancel")


async def test_rotating_many_times_at_once_leaves_one_current_secret_that_signs(
    server: Server, receiver: Receiver
) -> None:
    answers = await asyncio.gather(*(ask(server, "POST", f"{SECRET}/rotate") for _ in range(10)))
    made = {key(answer) for answer in answers}
    assert len(made) == 10
    current = key(await ask(server, "GET", SECRET))
    assert current in made
    assert signed_with(await rung(server, receiver), current)
