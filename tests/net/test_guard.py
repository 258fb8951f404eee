"""The connector against real sockets: what is judged is what is dialled, at each dial."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from aiohttp.resolver import ThreadedResolver

from ringback.net.guard import GuardedResolver, RefusedAddress, guarded_connector, refused_address
from ringback.rules.address import AddressRules

ONLY_SECOND = AddressRules(allowed=(ip_network("127.0.0.2/32"),))


@contextmanager
def listening(*addresses: str) -> Iterator[tuple[int, list[socket.socket]]]:
    """Listen on one port of several loopback addresses, without accepting."""
    first = socket.create_server((addresses[0], 0))
    port = first.getsockname()[1]
    listeners = [first, *(socket.create_server((address, port)) for address in addresses[1:])]
    for listener in listeners:
        listener.setblocking(False)
    try:
        yield port, listeners
    finally:
        for listener in listeners:
            listener.close()


def was_dialled(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def answering(answer: bytes, host: str = "127.0.0.2") -> AsyncIterator[int]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, host, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


Lookup = Callable[..., list[tuple[Any, ...]]]


def names(*answers: list[str]) -> Lookup:
    """A name server that gives these answers in turn, then the last for ever."""
    waiting = list(answers)

    def lookup(host: str, *_: Any) -> list[tuple[Any, ...]]:
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answer]

    return lookup


def session(rules: AddressRules, lookup: Lookup = socket.getaddrinfo) -> ClientSession:
    return ClientSession(
        connector=guarded_connector(rules, resolver=GuardedResolver(rules, lookup), force_close=True)
    )


async def refused(asking: ClientSession, url: str) -> str:
    with pytest.raises(ClientError) as caught:
        async with asyncio.timeout(5):
            await asking.get(url)
    refusal = refused_address(caught.value)
    assert refusal is not None, caught.value
    return refusal.reason


async def test_of_several_addresses_only_the_allowed_are_dialled() -> None:
    with listening("127.0.0.1", "127.0.0.2") as (port, (forbidden, allowed)):
        async with session(ONLY_SECOND, names(["127.0.0.1", "127.0.0.2"])) as asking:
            attempt = asyncio.ensure_future(asking.get(f"http://hooks.test:{port}/"))
            async with asyncio.timeout(5):
                (connection, _) = await asyncio.get_running_loop().sock_accept(allowed)
            attempt.cancel()
            connection.close()
        assert not was_dialled(forbidden)


async def test_an_allowed_address_that_fails_is_not_reported_as_a_refusal() -> None:
    with listening("127.0.0.2") as (port, _):
        pass
    async with session(ONLY_SECOND, names(["127.0.0.2", "127.0.0.1"])) as asking:
        with pytest.raises(ClientError) as caught:
            await asking.get(f"http://hooks.test:{port}/")
    assert refused_address(caught.value) is None


async def test_a_name_with_forbidden_addresses_only_is_a_refusal_with_the_first_reason() -> None:
    async with session(ONLY_SECOND, names(["10.0.0.5", "127.0.0.1"])) as asking:
        assert await refused(asking, "http://hooks.test/") == "10.0.0.5 is a private address"


async def test_a_name_that_changes_its_answer_is_judged_anew() -> None:
    async with (
        answering(b"HTTP/1.1 204 X\r\n\r\n") as port,
        session(ONLY_SECOND, names(["127.0.0.2"], ["127.0.0.1"])) as asking,
    ):
        async with asking.get(f"http://hooks.test:{port}/") as response:
            assert response.status == 204
        assert await refused(asking, f"http://hooks.test:{port}/") == "127.0.0.1 is a loopback address"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"])
async def test_a_literal_address_is_judged_though_no_resolver_sees_it(host: str) -> None:
    with listening("127.0.0.1") as (port, (listener,)):
        async with session(AddressRules()) as asking:
            assert await refused(asking, f"http://{host}:{port}/")
        assert not was_dialled(listener)


async def test_the_dial_is_judged_even_behind_a_resolver_that_judges_nothing() -> None:
    with listening("127.0.0.1") as (port, (listener,)):
        connector = guarded_connector(AddressRules(), resolver=ThreadedResolver())
        async with ClientSession(connector=connector) as asking:
            assert "is a loopback address" in await refused(asking, f"http://localhost:{port}/")
        assert not was_dialled(listener)


async def test_a_redirect_to_a_forbidden_address_is_refused() -> None:
    with listening("127.0.0.1") as (port, (listener,)):
        moved = f"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n"
        async with answering(moved.encode()) as first, session(ONLY_SECOND) as asking:
            assert await refused(asking, f"http://127.0.0.2:{first}/") == "127.0.0.1 is a loopback address"
        assert not was_dialled(listener)


async def test_a_hanging_name_holds_one_lookup_and_no_other_name() -> None:
    hold, asked = threading.Event(), []

    def lookup(host: str, *_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        if host == "hangs.test":
            hold.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0))]

    resolver = GuardedResolver(ONLY_SECOND, lookup)
    waiting = [asyncio.ensure_future(resolver.resolve("hangs.test", 80)) for _ in range(200)]
    async with asyncio.timeout(5):
        other = await resolver.resolve("other.test", 443)
    assert (other[0]["host"], other[0]["port"]) == ("127.0.0.2", 443)
    assert not any(one.done() for one in waiting)
    waiting.pop().cancel()  # one that gives up does not end it for the others
    hold.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
    assert sorted(asked) == ["hangs.test", "other.test"]
    await resolver.close()


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "\ud800.test"])
async def test_a_host_that_has_no_form_in_the_dns_is_a_name_that_does_not_exist(host: str) -> None:
    resolver = GuardedResolver(AddressRules())
    with pytest.raises(socket.gaierror) as caught:
        await resolver.resolve(host, 80)
    assert caught.value.errno == socket.EAI_NONAME
    await resolver.close()


async def test_no_addresses_at_all_is_an_error_of_the_lookup() -> None:
    resolver = GuardedResolver(AddressRules(), names([]))
    with pytest.raises(socket.gaierror):
        await resolver.resolve("empty.test", 80)
    await resolver.close()


def test_other_errors_are_no_refusals() -> None:
    assert refused_address(ValueError("127.0.0.1 is a loopback address")) is None
    assert refused_address(RefusedAddress("x")) is not None
