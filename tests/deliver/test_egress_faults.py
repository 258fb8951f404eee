"""One attempt against receivers that break, hang or flood: each ends in a diagnosis, in time."""

import asyncio
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ringback.deliver.egress import Egress, EgressSettings

Serve = Callable[..., Awaitable[str]]
Make = Callable[..., Egress]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HASTY = EgressSettings(timeout_s=0.3, excerpt_s=0.3)
AT_LAST = 3.0  # seconds after which an attempt with those settings would be stuck


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer gets a reset instead of an end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang(_: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip_headers(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    while True:  # each byte would restart a timeout that is counted per read
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood_with_interim_answers(_: bytes, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()


@pytest.mark.parametrize("script", [hang, drip_headers])
async def test_an_answer_that_does_not_come_ends_at_the_deadline(
    serve: Serve, make_egress: Make, script: Callable[..., Awaitable[None]]
) -> None:
    url = await serve(script)
    async with asyncio.timeout(AT_LAST):
        result = await make_egress(HASTY).post(url, {}, b"{}")
    assert (result.cause, result.status, result.excerpt) == ("timeout", None, "")
    assert result.diagnosis == (
        f"no answer within 0.3 s: {url[7:]} was sent the request but has not answered; "
        "answer 2xx first and do the work afterwards"
    )
    assert 0.29e6 <= result.duration_us < AT_LAST * 1e6  # uvloop counts in milliseconds


async def test_interim_answers_without_end_are_ended_at_once(serve: Serve, make_egress: Make) -> None:
    url = await serve(flood_with_interim_answers)
    async with asyncio.timeout(AT_LAST):
        result = await make_egress().post(url, {}, b"{}")
    assert (result.cause, result.status) == ("disconnected", None)
    assert result.diagnosis == f"{url[7:]} answered with nothing but interim answers (1xx)"


async def test_a_few_interim_answers_come_before_a_good_one(serve: Serve, make_egress: Make) -> None:
    url = await serve(b"HTTP/1.1 102 Processing\r\n\r\n" * 16 + OK)
    egress = make_egress()
    for _ in range(3):
        result = await egress.post(url, {}, b"{}")
        assert (result.cause, result.status, result.excerpt) == ("acknowledged", 200, "ok")


async def test_a_body_that_drips_after_a_2xx_is_cut_and_acknowledged(serve: Serve, make_egress: Make) -> None:
    async def drip(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with asyncio.timeout(AT_LAST):
        result = await make_egress(HASTY).post(await serve(drip), {}, b"{}")
    assert (result.cause, result.status) == ("acknowledged", 200)
    assert 1 <= len(result.excerpt) < 100


async def test_a_2xx_counts_even_if_the_connection_is_reset_in_the_body(
    serve: Serve, make_egress: Make
) -> None:
    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\npart")
        await writer.drain()
        reset(writer)

    result = await make_egress().post(await serve(script), {}, b"{}")
    assert (result.cause, result.status) == ("acknowledged", 200)


@pytest.mark.parametrize(
    ("said", "diagnosis"),
    [
        (b"", "closed the connection before answering"),
        (b"HTTP/1.1 20", "closed the connection before answering"),
        (b"HTTP/1.1 200 OK\r\nx: y\r\n", "closed the connection before answering"),
        (b"hello\r\n\r\n", "answered with something that is not HTTP; check host, port and scheme"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "answered with something that is not HTTP; check host, port and scheme"),
        (
            b"\x15\x03\x01\x00\x02\x02\x16",
            "answered with something that is not HTTP; check host, port and scheme",
        ),
        (b"<html>HTTP/0.9</html>", "answered with something that is not HTTP; check host, port and scheme"),
        (
            b"HTTP/1.1 200 OK\r\nx: " + b"y" * 9000,
            "answered with a header line over the limit; make its headers smaller",
        ),
    ],
)
async def test_what_is_no_answer_is_said_to_be_none(
    serve: Serve, make_egress: Make, said: bytes, diagnosis: str
) -> None:
    requests = 0

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        writer.write(said)
        await writer.drain()
        writer.close()

    url = await serve(script)
    result = await make_egress().post(url, {}, b"{}")
    assert (result.cause, result.status) == ("disconnected", None)
    assert result.diagnosis == f"{url[7:]} {diagnosis}"
    assert requests == 1  # a fresh connection is no reason to send again
    assert not result.resent


async def test_a_reset_before_the_answer_is_a_failure(serve: Serve, make_egress: Make) -> None:
    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    url = await serve(script)
    result = await make_egress().post(url, {}, b"{}")
    assert (result.cause, result.resent) == ("disconnected", False)
    assert result.diagnosis == f"{url[7:]} reset the connection before answering"


class Kept:
    """A receiver that answers the first request of a connection and ends the connection at the second."""

    def __init__(self, end: Callable[[asyncio.StreamWriter], None]) -> None:
        self.end = end
        self.served: list[asyncio.StreamWriter] = []
        self.requests = 0

    async def __call__(self, _: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        if writer in self.served:
            self.end(writer)
        else:
            self.served.append(writer)
            writer.write(OK)


@pytest.mark.parametrize("end", [asyncio.StreamWriter.close, reset])
async def test_a_kept_connection_that_was_closed_is_no_failure_but_sent_again_fresh(
    serve: Serve, make_egress: Make, end: Callable[[asyncio.StreamWriter], None]
) -> None:
    receiver = Kept(end)
    url = await serve(receiver)
    egress = make_egress()
    await asyncio.gather(egress.post(url, {}, b"{}"), egress.post(url, {}, b"{}"))
    assert receiver.requests == 2
    result = await egress.post(url, {}, b"{}")  # the other kept connection is as dead and must not be tried
    assert (result.cause, result.resent) == ("acknowledged", True)
    assert (receiver.requests, len(receiver.served)) == (4, 3)


async def test_a_kept_connection_that_breaks_inside_an_answer_is_a_failure(
    serve: Serve, make_egress: Make
) -> None:
    def answer_half(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 O")
        writer.close()

    receiver = Kept(answer_half)
    url = await serve(receiver)
    egress = make_egress()
    await egress.post(url, {}, b"{}")
    result = await egress.post(url, {}, b"{}")
    assert (result.cause, result.resent, receiver.requests) == ("disconnected", False, 2)


async def test_a_second_sending_that_fails_is_recorded_as_one(serve: Serve, make_egress: Make) -> None:
    answers = [OK]

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        if answers:
            writer.write(answers.pop())
        else:
            writer.close()

    url = await serve(script)
    egress = make_egress()
    await egress.post(url, {}, b"{}")
    result = await egress.post(url, {}, b"{}")
    assert (result.cause, result.resent) == ("disconnected", True)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_port_where_nothing_listens_is_named(make_egress: Make) -> None:
    port = closed_port()
    result = await make_egress().post(f"http://user:hidden@127.0.0.1:{port}/x?key=hidden", {}, b"{}")
    assert result.cause == "connect"
    assert result.diagnosis == f"can't connect to 127.0.0.1:{port}: connection refused, nothing listens there"


@asynccontextmanager
async def full_backlog(host: str = "127.0.0.1") -> AsyncIterator[int]:
    """A port that accepts no more: its queue is full and nobody takes from it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.bind((host, 0))
    listener.listen(0)
    port = int(listener.getsockname()[1])
    waiting = [socket.socket(family) for _ in range(3)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex((host, port))
    yield port
    for one in [listener, *waiting]:
        one.close()


async def test_a_connection_that_is_not_accepted_says_so(make_egress: Make) -> None:
    async with full_backlog() as port:
        result = await make_egress(HASTY).post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert result.cause == "timeout"
    assert result.diagnosis == (
        f"no answer within 0.3 s: 127.0.0.1:{port} does not accept connections; "
        "check the address and any firewall before it"
    )


async def test_a_machine_out_of_file_descriptors_says_so(serve: Serve, make_egress: Make) -> None:
    url = await serve(OK)
    egress = make_egress()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        result = await egress.post(url, {}, b"{}")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result.cause == "connect"
    assert result.diagnosis == (
        f"can't connect to {url[7:]}: this machine is out of file descriptors; raise its limit (ulimit -n)"
    )
    assert (await egress.post(url, {}, b"{}")).cause == "acknowledged"


async def test_a_name_without_address_is_named(make_egress: Make) -> None:
    host = "a" * 64 + ".example"  # too long for a name: no name server is needed to know
    result = await make_egress().post(f"http://{host}/", {}, b"{}")
    assert result.cause == "dns"
    assert result.diagnosis == f"the name in {host}:80 has no address: check the host in the webhook's URL"


async def test_a_canceled_attempt_closes_its_connection(serve: Serve, make_egress: Make) -> None:
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        try:
            while True:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    attempt = asyncio.ensure_future(make_egress().post(await serve(script), {}, b"{}"))
    async with asyncio.timeout(AT_LAST):
        await arrived.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await ended.wait()
