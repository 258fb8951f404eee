"""What egress never dials, and what it leaves to a proxy."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from ringback.deliver.egress import Egress, EgressSettings
from ringback.rules.address import AddressRules

Serve = Callable[..., Awaitable[str]]
Make = Callable[..., Egress]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_a_forbidden_address_gets_not_even_a_connection(make_egress: Make, host: str) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        result = await make_egress(rules=AddressRules()).post(f"http://{host}:{port}/", {}, b"{}")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (result.cause, result.status, result.excerpt) == ("refused", None, "")
    assert result.diagnosis in {
        "refused: 127.0.0.1 is a loopback address (allow it with egress.allow)",
        "refused: ::1 is a loopback address (allow it with egress.allow)",
    }


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "①②⑦.0.0.1"])
async def test_an_address_in_disguise_is_refused(make_egress: Make, host: str) -> None:
    result = await make_egress(rules=AddressRules()).post(f"http://{host}:{closed_port()}/", {}, b"{}")
    assert (result.cause, result.excerpt) == ("refused", "")
    assert result.diagnosis == "refused: 127.0.0.1 is a loopback address (allow it with egress.allow)"


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34@127.0.0.1:{port}/",
        "http://93.184.216.34%40127.0.0.1@127.0.0.1:{port}/",
        "http://example.com:80@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}/@93.184.216.34/",
        "http://127.0.0.1:{port}?@93.184.216.34/",
        "http://127.0.0.1:{port}#@93.184.216.34/",
    ],
)
async def test_a_user_that_looks_like_a_host_changes_no_host(make_egress: Make, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = await make_egress(rules=AddressRules()).post(url.format(port=port), {}, b"{}")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert result.diagnosis == "refused: 127.0.0.1 is a loopback address (allow it with egress.allow)"


async def test_encoded_line_ends_stay_encoded(serve: Serve, make_egress: Make) -> None:
    seen: list[bytes] = []

    async def script(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(OK)

    url = await serve(script)
    await make_egress().post(f"{url}/x%0d%0aFLUSHALL%0d%0a?y=%0d%0aDEL%20key", {}, b"{}")
    assert seen[0].startswith(b"POST /x%0d%0aFLUSHALL%0d%0a?y=%0d%0aDEL%20key HTTP/1.1\r\n")
    await make_egress().post(f"{url}/x\r\nFLUSHALL\r\n", {}, b"{}")  # the API refuses such a URL
    assert len(seen) == 2
    assert b"\nFLUSHALL" not in seen[1]


async def test_a_proxy_does_not_open_addresses_that_the_rules_forbid(serve: Serve, make_egress: Make) -> None:
    egress = make_egress(EgressSettings(proxy=await serve(OK)), AddressRules())
    result = await egress.post("http://169.254.169.254/latest/meta-data", {}, b"{}")
    assert result.cause == "refused"
    assert (
        result.diagnosis
        == "refused: 169.254.169.254 is a cloud metadata address (allow it with egress.allow)"
    )


async def test_a_proxy_that_is_down_is_told_apart_from_the_receiver(make_egress: Make) -> None:
    egress = make_egress(EgressSettings(proxy=f"http://127.0.0.1:{closed_port()}"))
    result = await egress.post("https://hooks.invalid/", {}, b"{}")
    assert result.cause == "connect"
    assert result.diagnosis.startswith("can't connect to the egress proxy: connection refused")


async def test_a_proxy_that_refuses_a_tunnel_is_told_apart_from_the_receiver(
    serve: Serve, make_egress: Make
) -> None:
    proxy = await serve(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
    result = await make_egress(EgressSettings(proxy=proxy)).post("https://hooks.invalid/", {}, b"{}")
    assert result.cause == "connect"
    assert (
        result.diagnosis == "the egress proxy answered 403 when asked for hooks.invalid:443: check its rules"
    )


async def test_an_unusual_spelling_of_an_allowed_address_is_not_dialled_either(make_egress: Make) -> None:
    result = await make_egress().post("http://127.1/", {}, b"{}")
    assert (result.cause, result.diagnosis) == ("refused", "refused: write the webhook's host as 127.0.0.1")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("ftp://127.0.0.1/", "must begin with http:// or https://"),
        ("", "must begin with http:// or https://"),
        ("http://[half/", "has a host that is not a valid name or address"),
        ("http://127.0.0.1:99999/", "has a port that is not a number from 1 to 65535"),
    ],
)
async def test_what_is_no_url_ends_in_a_diagnosis_too(make_egress: Make, url: str, fault: str) -> None:
    result = await make_egress().post(url, {}, b"{}")
    assert (result.cause, result.diagnosis) == ("refused", f"refused: the webhook's URL {fault}")
