"""The guarded HTTP sender: one signed POST, and what came of it.

Only public addresses (net/guard.py), one deadline to the status line and headers, a bounded excerpt of the
answer that is never decompressed; no cookies, no redirects, nothing from the environment. `Egress.post` is
the boundary to receivers, who may do anything: whatever happens there becomes a `Result`.
"""

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from io import BytesIO
from ipaddress import ip_network
from pathlib import Path

from aiohttp import (
    ClientConnectionResetError,
    ClientError,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
)
from aiohttp.connector import Connection
from yarl import URL

from ringback.deliver.diagnosis import (
    failure,
    is_acknowledged,
    status_diagnosis,
)
from ringback.net.guard import TRAIL, GuardedResolver, RefusedAddress, Trail, guarded_connector, tls_context
from ringback.net.names import Lookup
from ringback.rules.address import AddressRules, refusal
from ringback.rules.attempt import Result
from ringback.rules.headers import ExtraHeaders
from ringback.rules.url import literal_address
from ringback.words.errors import SetupError

_log = logging.getLogger(__name__)

_LONGEST_LINE = 8190  # bytes of a status line or header
_RECEIVE_BUFFER = 16 * 1024  # bytes; a read is parsed in one piece, and 64 KiB of tiny chunks take 30 ms
_WRITTEN_AT_ONCE = 256 * 1024  # bytes
_NO_TIMERS = ClientTimeout()  # ours cover the whole, aiohttp's own would be one more per request
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")  # longer than that is no wait anyone can mean
_SKIPPED_HEADERS = ("Accept", "Accept-Encoding", "User-Agent")
_ANYWHERE = AddressRules(allow_loopback=True, allowed=(ip_network("0.0.0.0/0"), ip_network("::/0")))


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """How webhooks are sent.

    Attributes:
        timeout_s: seconds from the start of connecting to the end of the answer's headers.
        excerpt_bytes: how much of an answer's body is read and kept.
        excerpt_s: seconds that reading it may take beyond the headers.
        ca_file: certificate authorities (PEM) to trust beside the system's.
        proxy: URL of an egress proxy, which then decides what may be reached; only addresses that stand
            literally in a webhook's URL are still judged here, since the proxy resolves the names.
        headers: further headers for some destinations.
    """

    timeout_s: float = 15.0
    excerpt_bytes: int = 65536
    excerpt_s: float = 2.0
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)  # it may hold a password
    headers: ExtraHeaders = field(default_factory=ExtraHeaders)


class _Request(ClientRequest):
    """Marks the trail when there is a connection and the request goes out on it."""

    async def send(self, conn: Connection) -> ClientResponse:
        trail = TRAIL.get()
        if trail is not None:
            trail.phase = "answer"
        return await super().send(conn)


class Egress:
    """Sends webhooks. Make it in a running event loop, and close it there.

    Args:
        settings: how.
        rules: which addresses may be dialled.
        monotonic: seconds, for durations.
        now: seconds since the epoch, for a Retry-After that is a date.
        lookup: looks names up, with getaddrinfo's parameters and results.

    Raises:
        SetupError: the file of certificate authorities can't be used.
    """

    def __init__(
        self,
        settings: EgressSettings,
        rules: AddressRules,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._monotonic = monotonic
        self._now = now
        self._resolver = GuardedResolver(_ANYWHERE if settings.proxy else rules, lookup)
        tls = _trusting(settings.ca_file)

        def session(*, force_close: bool) -> ClientSession:
            connector = guarded_connector(
                _ANYWHERE if settings.proxy else rules,
                force_close=force_close,
                resolver=self._resolver,
                tls=tls,
                receive_buffer=_RECEIVE_BUFFER,
            )
            return ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(),
                timeout=_NO_TIMERS,
                request_class=_Request,
                skip_auto_headers=_SKIPPED_HEADERS,
                auto_decompress=False,
                trust_env=False,
                proxy=settings.proxy,
                read_bufsize=settings.excerpt_bytes,
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
            )

        self._kept = session(force_close=False)
        self._fresh = session(force_close=True)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Result:
        """Make one attempt: POST `body` to `url` exactly as it stands.

        A connection kept from before that the receiver turns out to have closed is not an answer: the request
        goes out once more at once, on a fresh one. Raises nothing but cancellation.
        """
        started = self._monotonic()
        trail = Trail()
        TRAIL.set(trail)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                response = await self._answer(url, {**headers, **self._settings.headers.of(url)}, body, trail)
        except Exception as error:  # the boundary: whatever a receiver causes becomes a Result
            cause, diagnosis = failure(
                error,
                trail,
                url,
                self._settings.timeout_s,
                self._rules,
                is_proxied=self._settings.proxy is not None,
            )
            if cause == "interrupted":
                _report(error)
            return Result(cause, diagnosis, None, "", self._since(started), resent=trail.is_resent)
        excerpt = await self._excerpt(response)
        return self._result(
            url, body, response, excerpt=excerpt, duration_us=self._since(started), resent=trail.is_resent
        )

    async def close(self) -> None:
        """Close all connections; attempts under way end as disconnected."""
        await self._kept.close()
        await self._fresh.close()
        await self._resolver.close()

    async def _answer(
        self, url: str, headers: Mapping[str, str], body: bytes, trail: Trail
    ) -> ClientResponse:
        """The answer's status line and headers; sends a second time where a kept connection was closed."""
        if self._settings.proxy is not None:
            self._refuse_literal(url)
        target = _target(url)
        try:
            return await self._kept.post(target, data=_sendable(body), headers=headers, allow_redirects=False)
        except (ServerDisconnectedError, ClientOSError, ClientConnectionResetError) as error:
            if trail.is_fresh or not _is_unanswered(error):
                raise
        trail.is_resent = True
        return await self._fresh.post(target, data=_sendable(body), headers=headers, allow_redirects=False)

    def _refuse_literal(self, url: str) -> None:
        address = literal_address(url)
        reason = None if address is None else refusal(self._rules, address)
        if reason is not None:
            raise RefusedAddress(reason)

    async def _excerpt(self, response: ClientResponse) -> bytes:
        """The start of the body. A connection whose body was not read to its end is closed."""
        content, limit = response.content, self._settings.excerpt_bytes
        read = bytearray()
        try:
            with contextlib.suppress(Exception):  # the status line counts, whatever becomes of the body
                if content.is_eof():  # nearly always: it came with the headers
                    return content.read_nowait(limit)
                async with asyncio.timeout(self._settings.excerpt_s):
                    while len(read) < limit and not content.at_eof():
                        read += await content.readany()
        finally:
            if not content.is_eof():
                response.close()
        return bytes(read[:limit])

    def _result(
        self,
        url: str,
        body: bytes,
        response: ClientResponse,
        *,
        excerpt: bytes,
        duration_us: int,
        resent: bool,
    ) -> Result:
        # a NUL is text to Python but not to PostgreSQL
        text = excerpt.decode("utf-8", "replace").replace("\0", "\ufffd")
        text = self._settings.headers.hidden(url, text)
        status = response.status
        if is_acknowledged(status):
            return Result("acknowledged", "", status, text, duration_us, resent=resent)
        wait = retry_after(response.headers.get("Retry-After"), self._now())
        location = response.headers.get("Location")
        if location is not None:
            location = self._settings.headers.hidden(url, location)
        diagnosis = status_diagnosis(status, url, len(body), location, wait)
        return Result("status", diagnosis, status, text, duration_us, wait, resent)

    def _since(self, started: float) -> int:
        return round((self._monotonic() - started) * 1_000_000)


def retry_after(value: str | None, now: float) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3): seconds from `now`, or None if it says nothing usable.

    Args:
        value: the header: seconds, or an HTTP date. A date that has passed means 0.
        now: seconds since the epoch, for the date.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError, TypeError, IndexError):  # what receivers send is anything at all
        return None


def _target(url: str) -> URL:
    """`url` as it stands where that is possible, percent-encoded where it is not."""
    return URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)


def _sendable(body: bytes) -> bytes | BytesIO:
    """A large body as a file, which aiohttp writes piece by piece and lets others run in between."""
    return body if len(body) <= _WRITTEN_AT_ONCE else BytesIO(body)


def _is_unanswered(error: ClientError) -> bool:
    """Whether nothing came back. aiohttp hands over what it has of a status line with the error."""
    return not isinstance(error, ServerDisconnectedError) or isinstance(error.message, str)


def _report(error: Exception) -> None:
    """Log where it came from. Not what it says: the texts of errors repeat URLs and headers."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("sending a webhook failed by itself: %s\n%s", type(error).__name__, frames)


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return tls_context(None if ca_file is None else str(ca_file))
    except OSError as error:
        raise SetupError(f"egress.ca_file: can't read certificates from {ca_file}: {error}") from error
