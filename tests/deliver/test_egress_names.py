"""What a receiver's name may lead to: what is dialled, what is refused, and what is said."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest

from deliver.test_egress_faults import full_backlog
from ringback.deliver.egress import Egress, EgressSettings
from ringback.net.names import Answers
from ringback.rules.address import AddressRules

Serve = Callable[..., Awaitable[str]]
Make = Callable[..., Egress]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HASTY = EgressSettings(timeout_s=0.3)
ONLY_SECOND = AddressRules(allowed=(ip_network("127.0.0.2/32"),))


def resolving(*addresses: str) -> Callable[..., Answers]:
    """A resolver that gives these addresses for every name."""

    def lookup(*_: Any) -> Answers:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 0, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
            for address in addresses
        ]

    return lookup


def failing(number: int) -> Callable[..., Answers]:
    def lookup(*_: Any) -> Answers:
        raise socket.gaierror(number, "as the system says it")

    return lookup


def named(url: str) -> str:
    """The same port under a name."""
    return f"http://hooks.test:{urlsplit(url).port}/"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (socket.EAI_NONAME, "has no address: check the host in the webhook's URL"),
        (socket.EAI_NODATA, "has no address that this machine could use: check IPv4, IPv6 and the host"),
        (socket.EAI_AGAIN, "could not be looked up: its name servers, or this machine's, don't answer"),
        (socket.EAI_FAIL, "could not be looked up: as the system says it"),
    ],
)
async def test_a_name_that_can_not_be_looked_up_says_why(make_egress: Make, number: int, said: str) -> None:
    result = await make_egress(lookup=failing(number)).post("http://hooks.test/", {}, b"{}")
    assert (result.cause, result.diagnosis) == ("dns", f"the name in hooks.test:80 {said}")


async def test_no_addresses_at_all_is_said_like_none_of_use(make_egress: Make) -> None:
    result = await make_egress(lookup=resolving()).post("http://hooks.test/", {}, b"{}")
    assert result.cause == "dns"
    assert "has no address that this machine could use" in result.diagnosis


async def test_name_servers_that_say_nothing_end_at_the_deadline(make_egress: Make) -> None:
    hold = threading.Event()

    def lookup(*_: Any) -> Answers:
        hold.wait(20)
        return []

    result = await make_egress(HASTY, lookup=lookup).post("http://hooks.test/", {}, b"{}")
    hold.set()
    assert result.cause == "timeout"
    assert result.diagnosis == (
        "no answer within 0.3 s: the name in hooks.test:80 could not be looked up in time; "
        "check its name servers"
    )


async def test_a_name_that_had_to_wait_for_others_says_so(make_egress: Make) -> None:
    hold = threading.Event()

    def lookup(*_: Any) -> Answers:
        hold.wait(20)
        return []

    egress = make_egress(EgressSettings(timeout_s=0.5), lookup=lookup)
    results = await asyncio.gather(
        *(egress.post(f"http://hang{number}.evil.test/", {}, b"{}") for number in range(17))
    )
    hold.set()
    assert [result.cause for result in results] == ["timeout"] * 17
    assert results[16].diagnosis == (
        "no answer within 0.5 s: the name in hang16.evil.test:80 had to wait for too many other names; "
        "look for name servers that hang"
    )
    assert not any("had to wait" in result.diagnosis for result in results[:16])


@pytest.mark.parametrize("internal", ["10.0.0.5", "169.254.169.254", "::ffff:10.0.0.5", "fd00::1", "fe80::1"])
async def test_a_name_that_leads_inside_is_refused(make_egress: Make, internal: str) -> None:
    egress = make_egress(lookup=resolving(internal))
    result = await egress.post("http://hooks.test/", {}, b"{}")
    assert (result.cause, result.status, result.excerpt) == ("refused", None, "")
    assert "(allow it with egress.allow)" in result.diagnosis


async def test_of_public_and_inner_addresses_the_public_is_dialled(serve: Serve, make_egress: Make) -> None:
    url = await serve(OK, "127.0.0.2")
    egress = make_egress(rules=ONLY_SECOND, lookup=resolving("127.0.0.1", "10.0.0.5", "127.0.0.2"))
    assert (await egress.post(named(url), {}, b"{}")).cause == "acknowledged"


async def test_a_name_that_changes_to_an_inner_address_is_refused_at_the_next_attempt(
    serve: Serve, make_egress: Make
) -> None:
    answers = ["127.0.0.2", "127.0.0.1"]
    url = await serve(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n", "127.0.0.2")

    def lookup(*_: Any) -> Answers:
        return resolving(answers.pop(0))()

    egress = make_egress(rules=ONLY_SECOND, lookup=lookup)
    assert (await egress.post(named(url), {}, b"{}")).cause == "acknowledged"
    result = await egress.post(named(url), {}, b"{}")
    assert (result.cause, answers) == ("refused", [])
    assert result.diagnosis == "refused: 127.0.0.1 is a loopback address (allow it with egress.allow)"


async def test_a_name_with_nothing_but_ipv6_is_reached(serve: Serve, make_egress: Make) -> None:
    url = await serve(OK, "::1")
    result = await make_egress(lookup=resolving("::1")).post(named(url), {}, b"{}")
    assert result.cause == "acknowledged"


async def test_an_ipv6_address_that_refuses_falls_back_to_ipv4(serve: Serve, make_egress: Make) -> None:
    url = await serve(OK, "127.0.0.1")
    result = await make_egress(lookup=resolving("::1", "127.0.0.1")).post(named(url), {}, b"{}")
    assert result.cause == "acknowledged"


async def test_an_ipv6_address_that_says_nothing_falls_back_to_ipv4_within_the_deadline(
    serve: Serve, make_egress: Make
) -> None:
    async with full_backlog("::1") as port:
        url = await serve(OK, "127.0.0.1", port=port)
        result = await make_egress(lookup=resolving("::1", "127.0.0.1")).post(named(url), {}, b"{}")
    assert (result.cause, result.excerpt) == ("acknowledged", "ok")


async def test_a_name_whose_addresses_all_refuse_says_so(make_egress: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = await make_egress(lookup=resolving("::1", "127.0.0.1")).post(
        f"http://hooks.test:{port}/", {}, b"{}"
    )
    assert result.cause == "connect"
    assert result.diagnosis.startswith(f"can't connect to hooks.test:{port}: ")


async def test_names_that_hang_keep_no_other_receiver_waiting(serve: Serve, make_egress: Make) -> None:
    hold = threading.Event()

    def lookup(host: str, *_: Any) -> Answers:
        if "hang" in host:
            hold.wait(20)
        return resolving("127.0.0.1")()

    url = await serve(OK)
    egress = make_egress(EgressSettings(timeout_s=20), lookup=lookup)
    hanging = [
        asyncio.ensure_future(egress.post(f"http://hang{number}.evil.test/", {}, b"{}"))
        for number in range(200)
    ]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert (await egress.post(named(url), {}, b"{}")).cause == "acknowledged"
    assert not any(one.done() for one in hanging)
    for one in hanging:
        one.cancel()
    hold.set()
    await asyncio.gather(*hanging, return_exceptions=True)
