"""What is secret in a URL, in a setting or in a header is in no diagnosis, no log line and no warning."""

import asyncio
import gc
import logging
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from deliver.authority import Authority, trusting
from ringback.deliver.egress import Egress, EgressSettings
from ringback.net.names import Answers
from ringback.rules.address import AddressRules
from ringback.rules.headers import extra_headers

Serve = Callable[..., Awaitable[str]]
Make = Callable[..., Egress]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SECRETS = ("hid-user", "hid-password", "hid-path", "hid-query", "hid-fragment", "hid-header", "hid-proxy")
EXTRA = {"x-key": "hid-header"}


def secretive(url: str) -> str:
    """`url` with a secret wherever there is room for one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://hid-user:hid-password@{parts.netloc}/hid-path?key=hid-query#hid-fragment"


def everywhere(url: str, settings: EgressSettings) -> EgressSettings:
    headers = extra_headers({url: EXTRA})
    return EgressSettings(
        timeout_s=settings.timeout_s, ca_file=settings.ca_file, proxy=settings.proxy, headers=headers
    )


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


async def told(egress: Egress, url: str, caplog: pytest.LogCaptureFixture, headers: Any = None) -> str:
    """All that anybody is told of an attempt at the secretive form of `url`."""
    result = await egress.post(secretive(url), headers or {}, b"{}")
    assert result.cause != "acknowledged"
    await egress.close()
    del egress
    gc.collect()  # what is left open complains when it is collected
    text = f"{result.diagnosis}\n{caplog.text}\n{caplog.records!r}"
    assert [secret for secret in SECRETS if secret in text] == []
    return result.diagnosis


def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 301 X\r\nlocation: https://x.test/hid-path?key=hid-query\r\n\r\n",
        b"HTTP/1.1 308 X\r\nlocation: /hid-path/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 307 X\r\nlocation: //hid-user:hid-password@x.test/v2/hid-path\r\n\r\n",
        b"POST /hid-path?key=hid-query HTTP/1.1\r\n\r\n",  # an echo server
        b"HTTP/1.1 200 OK\r\nx: hid-query" + b"y" * 9000,
        b"HTTP/1.1 200 OK\r\n" + b"x: hid-query\r\n" * 200,
        b"HTTP/1.1 hid-query\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
        b"",
    ],
)
async def test_nothing_secret_is_told_of_what_a_receiver_answers(
    serve: Serve, make_egress: Make, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        if said:
            writer.write(said)
            await writer.drain()
            writer.close()
        else:
            reset(writer)

    url = await serve(script)
    await told(make_egress(everywhere(url, EgressSettings(timeout_s=5))), url, caplog)


async def test_a_receiver_that_echoes_extra_headers_has_them_blotted_out(
    serve: Serve, make_egress: Make
) -> None:
    async def echo(request: bytes, writer: asyncio.StreamWriter) -> None:
        key = re.findall(rb"x-key: (\S+)", request)[0]
        writer.write(b"HTTP/1.1 302 X\r\nlocation: /%s\r\ncontent-length: %d\r\n\r\n" % (key, len(request)))
        writer.write(request)

    url = await serve(echo)
    result = await make_egress(everywhere(url, EgressSettings(timeout_s=5))).post(url, {}, b"{}")
    assert "x-key: ***" in result.excerpt
    assert "moved to" in result.diagnosis
    assert "hid-header" not in f"{result!r}"


async def test_nothing_secret_is_told_of_a_receiver_that_hangs(
    serve: Serve, make_egress: Make, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(_: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    url = await serve(hang)
    await told(make_egress(everywhere(url, EgressSettings(timeout_s=0.2))), url, caplog)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1",
        "http://10.0.0.5",
        "http://127.1",
        "http://no.such.test",
        "http://broken.test",
        "http://127.0.0.1:99999",
        "http://[half",
        "http://a b",
        "ftp://127.0.0.1",
    ],
)
async def test_nothing_secret_is_told_of_a_receiver_that_is_not_reached(
    make_egress: Make, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    def lookup(host: str, *_: Any) -> Answers:
        if host == "broken.test":
            raise OSError(f"{host} and hid-query")  # a resolver's module that says too much
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    settings = EgressSettings(timeout_s=5, headers=extra_headers({"http://127.0.0.1:1": EXTRA}))
    egress = make_egress(settings, AddressRules(allow_loopback=True), lookup=lookup)
    result = await egress.post(
        f"{url.replace('://', '://hid-user:hid-password@')}/hid-path?key=hid-query#hid-fragment", {}, b"{}"
    )
    assert result.cause in {"connect", "refused", "dns"}
    assert [secret for secret in SECRETS if secret in result.diagnosis + caplog.text] == []


@pytest.mark.parametrize("certificate", ["alone", "expired", "other"])
async def test_nothing_secret_is_told_of_a_certificate(
    serve: Serve, make_egress: Make, caplog: pytest.LogCaptureFixture, authority: Authority, certificate: str
) -> None:
    url = await serve(OK, tls=authority.server(certificate))
    await told(make_egress(everywhere(url, trusting(authority))), url, caplog)


@pytest.mark.parametrize("said", [b"HTTP/1.1 407 X\r\ncontent-length: 0\r\n\r\n", b"garbage\r\n\r\n", None])
async def test_nothing_secret_is_told_of_a_proxy(
    serve: Serve, make_egress: Make, caplog: pytest.LogCaptureFixture, said: bytes | None
) -> None:
    proxy = "http://127.0.0.1:1" if said is None else await serve(said)
    settings = EgressSettings(timeout_s=5, proxy=proxy.replace("://", "://me:hid-proxy@"))
    url = "https://hooks.invalid"
    await told(make_egress(everywhere(url, settings)), url, caplog)


class Unwritable:
    """What is no header, with a secret in its text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


async def test_a_fault_of_our_own_is_logged_with_its_place_and_without_its_text(
    serve: Serve, make_egress: Make, caplog: pytest.LogCaptureFixture
) -> None:
    egress = make_egress(EgressSettings(timeout_s=5))
    diagnosis = await told(egress, await serve(OK), caplog, {"x": Unwritable("hid-header")})
    assert diagnosis == "the sender failed by itself (TypeError); look into its log"
    assert "sending a webhook failed by itself: TypeError\n" in caplog.text
    assert "egress.py" in caplog.text
