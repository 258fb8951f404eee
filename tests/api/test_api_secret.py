"""The signing secret: read it either way, rotate it, and both sign meanwhile."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from api.asking import Answer, ask
from ringback.words.signature import VerificationError, verify
from support.moved_clock import MovedClock
from support.receiver import Received, Receiver, status
from support.server import Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "/v1/webhooks/default/secret"


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> MovedClock:
    return MovedClock(tmp_path_factory.mktemp("clock") / "ahead")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, clock: MovedClock) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("secret")
    config = folder / "ringback.toml"
    config.write_text("[webhooks]\nretry_base_s = 0.05\n")
    arguments = (model("test/echo", "echo"), "--config", str(config))
    async with serving(*arguments, data=folder / "data", command=clock.command, env=clock.env) as server:
        yield server
        assert "Traceback" not in server.log()


async def rotated(server: Server, clock: MovedClock) -> str:
    """Rotate, long enough after any rotation before."""
    clock.wait(61)
    return key(await ask(server, "POST", f"{SECRET}/rotate"))


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
    server: Server, receiver: Receiver, clock: MovedClock
) -> None:
    first = key(await ask(server, "GET", SECRET))
    assert signed_with(await rung(server, receiver), first)
    second = await rotated(server, clock)
    assert second != first
    assert key(await ask(server, "GET", SECRET)) == second
    third = await rotated(server, clock)
    item = await rung(server, receiver)
    assert [signed_with(item, secret) for secret in (first, second, third)] == [True, True, True]
    assert not signed_with(item, "whsec_" + base64.b64encode(b"x" * 32).decode())
    assert len(item.headers["webhook-signature"].split(" ")) == 6


async def test_at_most_the_newest_three_secrets_sign(
    server: Server, receiver: Receiver, clock: MovedClock
) -> None:
    made = [await rotated(server, clock) for _ in range(4)]
    item = await rung(server, receiver)
    assert [signed_with(item, secret) for secret in made] == [False, True, True, True]
    assert len(item.headers["webhook-signature"].split(" ")) == 6


async def test_after_the_overlap_only_the_new_secret_signs(
    server: Server, receiver: Receiver, clock: MovedClock
) -> None:
    old = key(await ask(server, "GET", SECRET))
    new = await rotated(server, clock)
    clock.wait(86_000)
    item = await rung(server, receiver)
    assert [signed_with(item, secret) for secret in (old, new)] == [True, True]
    clock.wait(400)
    item = await rung(server, receiver)
    assert [signed_with(item, secret) for secret in (old, new)] == [False, True]


async def test_what_is_sent_again_after_a_rotation_is_signed_with_the_new_secret_too(
    server: Server, receiver: Receiver, clock: MovedClock
) -> None:
    receiver.answer = status(503, {"retry-after": "0"})
    created = await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
    await receiver.until(lambda r: len(r.of(created["id"])) == 1)
    new = await rotated(server, clock)
    await receiver.until(lambda r: any(signed_with(item, new) for item in r.of(created["id"])))
    first, *_, last = receiver.of(created["id"])
    assert (first.id, first.body) == (last.id, last.body)
    assert not signed_with(first, new)
    receiver.answer = status(200)
    await receiver.until(lambda r: len(r.acknowledged) == 1)


async def test_an_attempt_in_flight_during_a_rotation_that_the_receiver_refuses_comes_again_signed_anew(
    server: Server, receiver: Receiver, clock: MovedClock
) -> None:
    """A receiver that changes over at once, without waiting for what is on its way."""
    old = key(await ask(server, "GET", SECRET))
    receiver.hold()
    created = await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
    await receiver.until(lambda r: r.held == 1)
    new = await rotated(server, clock)
    receiver.answer = lambda item: status(200 if signed_with(item, new) else 401)(item)
    receiver.release()
    await receiver.until(lambda r: len(r.acknowledged) == 1)
    first, second = receiver.of(created["id"])
    assert (first.id, first.body) == (second.id, second.body)
    assert [signed_with(first, old), signed_with(first, new)] == [True, False]
    assert [signed_with(second, old), signed_with(second, new)] == [True, True]


async def test_a_rotation_asked_for_many_times_at_once_is_one_rotation(
    server: Server, receiver: Receiver, clock: MovedClock
) -> None:
    """As by a client that got no answer in time, or by two people."""
    old = key(await ask(server, "GET", SECRET))
    clock.wait(61)
    answers = await asyncio.gather(*(ask(server, "POST", f"{SECRET}/rotate") for _ in range(10)))
    (new,) = {key(answer) for answer in answers}
    assert new != old
    assert key(await ask(server, "GET", SECRET)) == new
    item = await rung(server, receiver)
    assert [signed_with(item, secret) for secret in (old, new)] == [True, True]
    assert await rotated(server, clock) != new
