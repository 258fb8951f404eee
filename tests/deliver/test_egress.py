"""One attempt against receivers that answer: what is sent, and what an answer means."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from ringback.deliver.egress import Egress, EgressSettings
from ringback.rules.attempt import Gone, judge
from ringback.rules.headers import extra_headers

Serve = Callable[..., Awaitable[str]]
Make = Callable[..., Egress]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HEADERS = {"content-type": "application/json", "webhook-id": "evt_a_1", "user-agent": "ringback/1"}


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def test_the_request_carries_the_given_headers_and_bytes_and_nothing_of_its_own(
    serve: Serve, make_egress: Make
) -> None:
    seen: list[bytes] = []

    async def script(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n")

    url = (await serve(script)).replace("127.0.0.1", "localhost")  # no jar takes cookies from bare addresses
    egress = make_egress()
    for _ in range(2):  # the second would carry the cookie
        result = await egress.post(f"{url}/hook", HEADERS, b'{"id":"a"}')
        assert (result.cause, result.status) == ("acknowledged", 200)
    for request in seen:
        head, _, body = request.partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        assert line == "POST /hook HTTP/1.1"
        assert body == b'{"id":"a"}'
        assert sorted(header.lower() for header in headers) == [
            "content-length: 10",
            "content-type: application/json",
            f"host: {url.partition('//')[2]}",
            "user-agent: ringback/1",
            "webhook-id: evt_a_1",
        ]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("/hook?customId=123", "/hook?customId=123"),
        ("/a%2fb/../c?x=%7B1%7d&y=a+b;'|~&&=#frag", "/a%2fb/../c?x=%7B1%7d&y=a+b;'|~&&="),
        ("", "/"),
        ("?x=1", "/?x=1"),
        ("/é?x=ü", "/%C3%A9?x=%C3%BC"),
    ],
)
async def test_the_path_and_query_arrive_as_they_were_given(
    serve: Serve, make_egress: Make, given: str, sent: str
) -> None:
    lines: list[bytes] = []

    async def script(request: bytes, writer: asyncio.StreamWriter) -> None:
        lines.append(request.partition(b"\r\n")[0])
        writer.write(OK)

    await make_egress().post(await serve(script) + given, HEADERS, b"{}")
    assert lines == [f"POST {sent} HTTP/1.1".encode()]


async def test_a_user_in_the_url_becomes_basic_authorization_and_is_in_no_diagnosis(
    serve: Serve, make_egress: Make
) -> None:
    seen: list[bytes] = []

    async def script(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(answer(301, "location: /new?token=hidden"))

    host = (await serve(script)).partition("//")[2]
    result = await make_egress().post(f"http://user:p%40ss@{host}/?key=hidden", HEADERS, b"{}")
    assert b"Authorization: Basic dXNlcjpwQHNz\r\n" in seen[0]  # user:p@ss
    assert f"moved to http://{host}/new?token=*** : give that address" in result.diagnosis


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_acknowledges(serve: Serve, make_egress: Make, status: int) -> None:
    result = await make_egress().post(await serve(answer(status)), HEADERS, b"{}")
    assert (result.cause, result.status, result.diagnosis) == ("acknowledged", status, "")


@pytest.mark.parametrize(
    "status",
    [
        *(300, 301, 302, 303, 304, 307, 308),
        *(400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 425, 429),
        *(500, 502, 503, 504, 599, 999),
    ],
)
async def test_every_other_status_is_a_failure_with_a_diagnosis(
    serve: Serve, make_egress: Make, status: int
) -> None:
    result = await make_egress().post(await serve(answer(status)), HEADERS, b"{}")
    assert (result.cause, result.status) == ("status", status)
    assert result.diagnosis.startswith(f"answered {status}")


async def test_a_redirect_is_never_followed(serve: Serve, make_egress: Make) -> None:
    arrived: list[bytes] = []

    async def elsewhere(request: bytes, writer: asyncio.StreamWriter) -> None:
        arrived.append(request)
        writer.write(OK)

    target = await serve(elsewhere)
    egress = make_egress()
    for status in (301, 302, 303, 307, 308):
        result = await egress.post(await serve(answer(status, f"location: {target}/x")), HEADERS, b"{}")
        assert result.diagnosis == (
            f"answered {status}, moved to {target}/x : give that address instead (redirects are not followed)"
        )
    assert arrived == []


async def test_410_ends_the_delivery(serve: Serve, make_egress: Make) -> None:
    result = await make_egress().post(await serve(answer(410)), HEADERS, b"{}")
    assert judge(result) == Gone()
    assert result.diagnosis == "answered 410 Gone: no more is sent"


async def test_413_names_the_size_that_was_too_large(serve: Serve, make_egress: Make) -> None:
    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(413, "connection: close"))
        writer.write_eof()

    # the receiver looks at the head only and answers while most of the body is still to be sent
    result = await make_egress().post(await serve(script, whole=False), HEADERS, b"x" * 1_150_001)
    assert result.diagnosis == "answered 413: the receiver's body limit is below 1.2 MB; raise it there"


async def test_a_large_body_arrives_whole(serve: Serve, make_egress: Make) -> None:
    body = bytes(range(256)) * 40_000
    bodies: list[bytes] = []

    async def script(request: bytes, writer: asyncio.StreamWriter) -> None:
        bodies.append(request.partition(b"\r\n\r\n")[2])
        writer.write(OK)

    result = await make_egress().post(await serve(script), HEADERS, body)
    assert result.cause == "acknowledged"
    assert bodies == [body]


async def test_retry_after_is_read_from_failures(serve: Serve, make_egress: Make) -> None:
    egress = make_egress(now=lambda: 784111767.0)
    seconds = await egress.post(await serve(answer(429, "retry-after: 20")), HEADERS, b"{}")
    date = await egress.post(
        await serve(answer(503, "retry-after: Sun, 06 Nov 1994 08:49:37 GMT")), HEADERS, b"{}"
    )
    assert (seconds.retry_after, date.retry_after) == (20.0, 10.0)
    assert "20 s" in seconds.diagnosis


async def test_the_excerpt_is_the_start_of_the_body_and_safe_to_store(
    serve: Serve, make_egress: Make
) -> None:
    body = b'{"detail":"b\xc3\xbccher \xff\x00"}' + b"x" * 100
    result = await make_egress(EgressSettings(excerpt_bytes=25)).post(
        await serve(answer(500, body=body)), HEADERS, b"{}"
    )
    assert result.excerpt == '{"detail":"bücher \ufffd\ufffd"}xx'


async def test_a_compressed_body_is_not_inflated(serve: Serve, make_egress: Make) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    assert len(bomb) < 65536
    result = await make_egress().post(
        await serve(answer(200, "content-encoding: gzip", body=bomb)), HEADERS, b"{}"
    )
    assert result.cause == "acknowledged"
    assert len(result.excerpt.encode()) < 4 * len(bomb)


@pytest.mark.parametrize("body", [b"", b"x" * 1000, b"x" * 65536])
async def test_a_connection_whose_body_was_read_is_used_again(
    serve: Serve, make_egress: Make, body: bytes
) -> None:
    connections: set[int] = set()

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        connections.add(id(writer))
        writer.write(answer(200, body=body))

    url = await serve(script)
    egress = make_egress()
    for _ in range(3):
        assert (await egress.post(url, HEADERS, b"{}")).excerpt == body.decode()
    assert len(connections) == 1


@pytest.mark.parametrize(
    "framing", ["content-length: 1000000000", "transfer-encoding: chunked", "connection: close"]
)
async def test_a_connection_whose_body_does_not_end_is_closed_after_the_excerpt(
    serve: Serve, make_egress: Make, framing: str
) -> None:
    pushed = 0
    closed = asyncio.Event()

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal pushed
        writer.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        try:
            while True:
                writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
                await writer.drain()
                pushed += 1031
        finally:
            closed.set()

    egress = make_egress(EgressSettings(excerpt_bytes=1000))
    result = await egress.post(await serve(script), HEADERS, b"{}")
    assert (result.cause, result.status, len(result.excerpt)) == ("acknowledged", 200, 1000)
    async with asyncio.timeout(5):
        await closed.wait()
    assert pushed < 8_000_000  # what the kernel's buffers take; the rest was never read


async def test_an_ipv6_receiver_is_reached(serve: Serve, make_egress: Make) -> None:
    result = await make_egress().post(await serve(OK, "::1"), HEADERS, b"{}")
    assert result.cause == "acknowledged"


async def test_extra_headers_go_to_their_destination_and_to_no_other(serve: Serve, make_egress: Make) -> None:
    seen: list[bytes] = []

    async def script(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(OK)

    url, other = await serve(script), await serve(script)
    headers = extra_headers({f"{url}/hooks": {"X-Api-Key": "ours", "accept": "application/json"}})
    egress = make_egress(EgressSettings(timeout_s=5, headers=headers))
    for target in (f"{url}/hooks/1?a=b", f"{url}/other", f"{other}/hooks/1"):
        assert (await egress.post(target, HEADERS, b"{}")).cause == "acknowledged"
    assert b"x-api-key: ours\r\naccept: application/json\r\n" in seen[0]
    assert [b"x-api-key" in request.lower() for request in seen] == [True, False, False]
    assert all(b"webhook-id: evt_a_1\r\n" in request for request in seen)


async def test_a_user_in_the_url_goes_before_an_extra_authorization(serve: Serve, make_egress: Make) -> None:
    seen: list[bytes] = []

    async def script(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(OK)

    url = await serve(script)
    headers = extra_headers({url: {"Authorization": "Bearer ours"}})
    egress = make_egress(EgressSettings(timeout_s=5, headers=headers))
    for target in (url, url.replace("://", "://user:p%40ss@")):
        assert (await egress.post(target, HEADERS, b"{}")).cause == "acknowledged"
    sent = [line for request in seen for line in request.split(b"\r\n") if b"uthorization" in line]
    assert sent == [b"authorization: Bearer ours", b"Authorization: Basic dXNlcjpwQHNz"]


async def test_proxies_of_the_environment_are_ignored(
    serve: Serve, make_egress: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    result = await make_egress().post(await serve(OK), HEADERS, b"{}")
    assert result.cause == "acknowledged"


async def test_a_proxy_of_the_settings_gets_the_request_by_name(serve: Serve, make_egress: Make) -> None:
    lines: list[bytes] = []

    async def script(request: bytes, writer: asyncio.StreamWriter) -> None:
        lines.append(request.partition(b"\r\n")[0])
        writer.write(OK)

    egress = make_egress(EgressSettings(proxy=await serve(script)))
    result = await egress.post("http://hooks.invalid/x?y=1", HEADERS, b"{}")
    assert result.cause == "acknowledged"
    assert lines == [b"POST http://hooks.invalid/x?y=1 HTTP/1.1"]
