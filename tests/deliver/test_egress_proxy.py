"""An egress proxy that the settings name: tunnels, its password for nobody else, its faults told apart."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from deliver.authority import Authority
from ringback.deliver.egress import Egress, EgressSettings
from ringback.net.names import Answers
from ringback.rules.address import AddressRules
from ringback.rules.headers import extra_headers

Serve = Callable[..., Awaitable[str]]
Make = Callable[..., Egress]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BASIC = b"Proxy-Authorization: Basic bWU6aGlkZGVu"  # me:hidden
AT_LAST = 5.0  # seconds after which something would be stuck


@dataclass
class Proxy:
    """A forward proxy that tunnels every CONNECT to one place."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://me:hidden@127.0.0.1:{self.port}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
    writer.close()


@asynccontextmanager
async def tunnelling(target: str) -> AsyncIterator[Proxy]:
    """Run a proxy; at the end, egress must have closed all its connections."""
    proxy = Proxy()
    tasks: set[asyncio.Task[None] | None] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        proxy.heads.append(await reader.readuntil(b"\r\n\r\n"))
        inner, outer = await asyncio.open_connection("127.0.0.1", int(target.rpartition(":")[2]))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, outer), _pump(inner, writer))

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    yield proxy
    server.close()
    async with asyncio.timeout(AT_LAST):  # a tunnel that the sender forgot would stay
        await asyncio.gather(*(task for task in tasks if task))
    await server.wait_closed()


class Receiver:
    """Notes the requests that come."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    async def __call__(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        writer.write(OK)


def through(proxy: str, authority: Authority | None = None, timeout_s: float = 5) -> EgressSettings:
    ca_file = None if authority is None else authority.file
    headers = extra_headers({"https://localhost": {"x-key": "ours"}, "https://localhost:1": {"x-key": "no"}})
    return EgressSettings(timeout_s=timeout_s, ca_file=ca_file, proxy=proxy, headers=headers)


async def test_an_https_receiver_is_reached_through_a_tunnel_and_verified_by_its_own_name(
    serve: Serve, make_egress: Make, authority: Authority
) -> None:
    receiver = Receiver()
    port = (await serve(receiver, tls=authority.server("good"))).rpartition(":")[2]
    async with tunnelling(port) as proxy:
        egress = make_egress(through(proxy.url, authority))
        result = await egress.post(f"https://localhost:{port}/hook?a=b", {"webhook-id": "evt_a_1"}, b"{}")
        await egress.close()
    assert (result.cause, result.excerpt) == ("acknowledged", "ok")
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT localhost:{port} HTTP/1.1\r\n".encode())
    assert BASIC in head
    assert b"webhook-id" not in head
    (request,) = receiver.requests
    assert request.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert b"webhook-id: evt_a_1" in request
    assert b"roxy-" not in request


async def test_a_tunnel_does_not_excuse_a_wrong_certificate(
    serve: Serve, make_egress: Make, authority: Authority
) -> None:
    url = await serve(OK, tls=authority.server("other"))
    async with tunnelling(url) as proxy:
        egress = make_egress(through(proxy.url, authority))
        result = await egress.post("https://hooks.invalid/", {}, b"{}")
        await egress.close()
    assert result.cause == "tls"
    assert result.diagnosis.startswith("the certificate of hooks.invalid:443 is for another host")


async def test_a_tunnel_to_a_literal_inner_address_is_not_asked_for(make_egress: Make) -> None:
    async with tunnelling("1") as proxy:
        egress = make_egress(through(proxy.url), AddressRules())
        for host in ("10.0.0.5", "[::ffff:10.0.0.5]", "169.254.169.254", "2130706433", "0x7f.1"):
            result = await egress.post(f"https://{host}/", {}, b"{}")
            assert (result.cause, result.excerpt) == ("refused", "")
        await egress.close()
    assert proxy.heads == []


async def test_credentials_of_the_proxy_go_to_the_proxy_with_a_plain_request(
    serve: Serve, make_egress: Make
) -> None:
    receiver = Receiver()
    host = (await serve(receiver)).partition("//")[2]
    result = await make_egress(through(f"http://me:hidden@{host}")).post("http://hooks.invalid/x", {}, b"{}")
    assert result.cause == "acknowledged"
    assert receiver.requests[0].startswith(b"POST http://hooks.invalid/x HTTP/1.1\r\n")
    assert BASIC in receiver.requests[0]


@pytest.mark.parametrize(
    ("said", "diagnosis"),
    [
        (b"HTTP/1.1 407 X\r\ncontent-length: 0\r\n\r\n", "the egress proxy answered 407 when asked for"),
        (
            b"HTTP/1.1 302 X\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n",
            "the egress proxy answered 302",
        ),
        (b"what?\r\n\r\n", "the egress proxy broke off when asked for hooks.invalid:443: check egress.proxy"),
        (b"", "the egress proxy broke off when asked for hooks.invalid:443: check egress.proxy"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_told_apart_from_the_receiver(
    serve: Serve, make_egress: Make, said: bytes, diagnosis: str
) -> None:
    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    proxy = (await serve(script)).replace("http://", "http://me:hidden@")
    result = await make_egress(through(proxy)).post("https://hooks.invalid/", {}, b"{}")
    assert (result.cause, result.status, result.excerpt) == ("connect", None, "")
    assert result.diagnosis.startswith(diagnosis)
    assert "hidden" not in result.diagnosis


async def test_a_proxy_that_hangs_is_told_apart_from_the_receiver(serve: Serve, make_egress: Make) -> None:
    async def hang(_: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    egress = make_egress(through(await serve(hang), timeout_s=0.3))
    async with asyncio.timeout(AT_LAST):
        result = await egress.post("https://hooks.invalid/", {}, b"{}")
    assert result.cause == "timeout"
    assert result.diagnosis == (
        "no answer within 0.3 s: the egress proxy opened no connection to hooks.invalid:443; "
        "check egress.proxy and the proxy's rules"
    )


async def test_a_proxy_whose_name_leads_nowhere_is_told_apart_from_the_receiver(make_egress: Make) -> None:
    def lookup(host: str, *_: object) -> Answers:
        assert host == "proxy.invalid"  # the receiver's name is the proxy's business
        return []

    egress = make_egress(through("http://me:hidden@proxy.invalid:3128"), lookup=lookup)
    result = await egress.post("https://hooks.invalid/", {}, b"{}")
    assert result.cause == "connect"
    assert result.diagnosis == (
        "can't connect to the egress proxy: its name could not be looked up; check egress.proxy"
    )


@pytest.mark.parametrize("is_https", [False, True])
async def test_nothing_of_the_environment_changes_the_way(
    serve: Serve,
    make_egress: Make,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    is_https: bool,
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("default login me password hidden\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    receiver = Receiver()
    tls: ssl.SSLContext | None = authority.server("good") if is_https else None
    url = await serve(receiver, tls=tls)
    egress = make_egress(EgressSettings(timeout_s=5, ca_file=authority.file))
    assert (await egress.post(url, {}, b"{}")).cause == "acknowledged"
    assert b"uthorization" not in receiver.requests[0]
