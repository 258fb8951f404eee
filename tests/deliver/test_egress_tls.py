"""TLS is always verified, and what is wrong with it is said."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deliver.authority import Authority, trusting
from ringback.deliver.egress import Egress, EgressSettings
from ringback.words.errors import SetupError

Serve = Callable[..., Awaitable[str]]
Make = Callable[..., Egress]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_receiver_of_a_trusted_authority_is_reached(
    serve: Serve, make_egress: Make, authority: Authority, host: str
) -> None:
    url = (await serve(OK, tls=authority.server("good"))).replace("127.0.0.1", host)
    egress = make_egress(trusting(authority))
    for _ in range(2):
        result = await egress.post(url, {}, b"{}")
        assert (result.cause, result.excerpt) == ("acknowledged", "ok")


@pytest.mark.parametrize(
    ("certificate", "hint"),
    [
        ("alone", "is self-signed: use one from a public authority, or add it with egress.ca_file"),
        ("expired", "has expired: renew it"),
        ("early", "is not valid yet: check the clocks and the certificate's dates"),
        ("other", "is for another address: use the name that stands in the certificate"),
    ],
)
async def test_a_certificate_that_does_not_verify_is_named(
    serve: Serve, make_egress: Make, authority: Authority, certificate: str, hint: str
) -> None:
    url = await serve(OK, tls=authority.server(certificate))
    result = await make_egress(trusting(authority)).post(url, {}, b"{}")
    assert (result.cause, result.excerpt) == ("tls", "")
    assert result.diagnosis == f"the certificate of {url[8:]} {hint}"


async def test_a_certificate_for_another_name_is_named(
    serve: Serve, make_egress: Make, authority: Authority
) -> None:
    url = (await serve(OK, tls=authority.server("other"))).replace("127.0.0.1", "localhost")
    result = await make_egress(trusting(authority)).post(url, {}, b"{}")
    assert result.cause == "tls"
    assert result.diagnosis.startswith(
        f"the certificate of {url[8:]} is for another host: check the webhook's URL"
    )


async def test_an_authority_that_was_not_given_is_not_trusted(
    serve: Serve, make_egress: Make, authority: Authority
) -> None:
    url = await serve(OK, tls=authority.server("good"))
    result = await make_egress().post(url, {}, b"{}")
    assert result.cause == "tls"
    assert result.diagnosis.startswith(f"the certificate of {url[8:]} comes from an unknown authority")


async def test_plain_http_behind_an_https_url_is_named(make_egress: Make) -> None:
    async with plain(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        result = await make_egress().post(f"https://127.0.0.1:{port}/", {}, b"{}")
    assert result.cause == "tls"
    assert result.diagnosis == (
        f"127.0.0.1:{port} does not speak TLS: is the webhook's URL http:// rather than https://?"
    )


@asynccontextmanager
async def refusing(tls: ssl.SSLContext) -> AsyncIterator[str]:
    """A receiver whose handshake fails and says why, as OpenSSL does; asyncio's server drops the reason."""

    def refuse() -> None:
        connection, _ = listener.accept()
        with tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
            with contextlib.suppress(ssl.SSLError):
                secured.do_handshake()
            with socket.socket(fileno=secured.detach()) as raw:
                while raw.recv(65536):  # closing with unread data would be a reset, and lose the reason
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        done = thread.submit(refuse)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        await asyncio.wrap_future(done)


async def test_an_old_protocol_is_refused(make_egress: Make, authority: Authority) -> None:
    tls = authority.server("good")
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1
    async with refusing(tls) as where:
        result = await make_egress(trusting(authority)).post(f"https://{where}/", {}, b"{}")
    assert result.cause == "tls"
    assert result.diagnosis == f"{where} has no TLS version in common with us: it needs TLS 1.2 or newer"


# In TLS 1.3 the refusal comes after the handshake; uvloop closes on it without handing the reason on.
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_receiver_that_wants_a_client_certificate_is_named(
    make_egress: Make, authority: Authority
) -> None:
    tls = authority.server("good")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(authority.file)
    async with refusing(tls) as where:
        result = await make_egress(trusting(authority)).post(f"https://{where}/", {}, b"{}")
    assert result.cause == "tls"
    assert result.diagnosis == f"{where} wants a client certificate, and webhooks carry none"


@asynccontextmanager
async def plain(said: bytes | None) -> AsyncIterator[int]:
    """A receiver that reads what comes first and says something that is not TLS; None: nothing, for ever."""
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if said is None:
            await done.wait()
        else:
            writer.write(said)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    done.set()
    server.close()
    await server.wait_closed()


async def test_a_handshake_that_stalls_ends_at_the_deadline(make_egress: Make) -> None:
    async with plain(None) as port:
        result = await make_egress(EgressSettings(timeout_s=0.3)).post(
            f"https://127.0.0.1:{port}/", {}, b"{}"
        )
    assert result.cause == "timeout"
    stopped = f"127.0.0.1:{port} accepted the connection but did not finish the TLS handshake"
    assert result.diagnosis == f"no answer within 0.3 s: {stopped}"


async def test_a_handshake_that_is_cut_short_is_named(make_egress: Make) -> None:
    async with plain(b"") as port:
        result = await make_egress().post(f"https://127.0.0.1:{port}/", {}, b"{}")
    assert result.cause == "tls"
    assert result.diagnosis == f"127.0.0.1:{port} closed the connection during the TLS handshake"


async def test_a_timeout_after_the_handshake_is_the_receivers(
    serve: Serve, make_egress: Make, authority: Authority
) -> None:
    async def hang(_: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    url = await serve(hang, tls=authority.server("good"))
    result = await make_egress(trusting(authority, timeout_s=0.3)).post(url, {}, b"{}")
    assert result.cause == "timeout"
    assert "was sent the request but has not answered" in result.diagnosis


async def test_a_file_of_authorities_that_can_not_be_used_stops_the_start(
    make_egress: Make, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for file in (empty, tmp_path / "missing.pem"):
        with pytest.raises(SetupError, match=r"egress\.ca_file: can't read certificates from "):
            make_egress(EgressSettings(ca_file=file))
