"""The connector for everything this server sends to addresses that others chose: webhooks and input files.

Two gates, both by `rules.address.refusal`: the resolver drops the answers that are forbidden, so that a name
with public and private addresses dials the public ones and says truthfully why they fail; the socket factory
judges once more whatever is really dialled, which is also the only gate for literal addresses. A name that
changes its answer between a check and the connection gains nothing: what is judged is what is dialled.
"""

import asyncio
import functools
import socket
import ssl
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any, Literal

from aiohttp import ClientConnectorError, StreamReader, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, RawResponseMessage

from ringback.net.names import Lookup, Names
from ringback.rules.address import AddressRules, refusal

Phase = Literal["pooled", "queued", "resolving", "connecting", "tls", "answer"]
SockAddress = tuple[str, int] | tuple[str, int, int, int]
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

_MOST_INTERIM_ANSWERS = 16
_END_OF_HEAD = b"\r\n\r\n"
_SWITCHING_PROTOCOLS, _FIRST_FINAL = 101, 200


class RefusedAddress(OSError):
    """The rules forbid every address there was to dial; nothing was sent.

    aiohttp wraps it in its own errors; `refused_address` finds it again.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refused_address(error: BaseException) -> RefusedAddress | None:
    """The refusal that `error`, raised by a request through `guarded_connector`, comes from, if it does."""
    if isinstance(error, ClientConnectorError):
        error = error.os_error
    return error if isinstance(error, RefusedAddress) else None


class Trail:
    """How far a request has come, for the one who must say where it stopped.

    Attributes:
        phase: what it is busy with; "pooled" until a connection has to be made, which it stays when a kept
            one is used; "queued" while other names are looked up first.
        is_fresh: whether a connection had to be made.
        is_resent: whether it went out a second time; for the one who sends it to note.
    """

    __slots__ = ("is_fresh", "is_resent", "phase")

    def __init__(self) -> None:
        self.phase: Phase = "pooled"
        self.is_fresh = False
        self.is_resent = False


# Set it before a request to follow that request. A context variable reaches the hooks below through aiohttp,
# also where happy eyeballs dials in tasks of its own, at a fraction of the cost of aiohttp's tracing.
TRAIL: ContextVar[Trail | None] = ContextVar("ringback_trail", default=None)


def _step(phase: Phase) -> None:
    trail = TRAIL.get()
    if trail is not None:
        trail.phase = phase
        trail.is_fresh = True


def _resolving() -> None:
    _step("resolving")


class GuardedResolver(AbstractResolver):
    """The system's resolver, without the answers that the rules forbid, and rationed (net/names.py)."""

    def __init__(self, rules: AddressRules, lookup: Lookup = socket.getaddrinfo) -> None:
        self._rules = rules
        self._names = Names(lookup)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look `host` up; at least one address, each allowed.

        Raises:
            RefusedAddress: it has addresses and the rules forbid all of them.
            socket.gaierror: it has none, or they can't be found out.
        """
        _step("queued")
        results, reason = [], None
        for found_family, _, _, _, address in await self._names.find(host, family, _resolving):
            text = f"{address[0]}%{address[3]}" if len(address) > 2 and address[3] else str(address[0])  # noqa: PLR2004 -- the scope of an IPv6 address
            refused = _judge(self._rules, text)
            reason = reason or refused
            if refused is None:
                results.append(_result(host, text, port, found_family))
        if results:
            return results
        if reason is not None:
            raise RefusedAddress(reason)
        raise socket.gaierror(socket.EAI_NODATA, "No address associated with hostname")

    async def close(self) -> None:
        """Start no more lookups. Those under way end by themselves."""
        self._names.close()


def guarded_connector(
    rules: AddressRules,
    *,
    limit: int = 0,
    force_close: bool = False,
    resolver: AbstractResolver | None = None,
    tls: ssl.SSLContext | None = None,
    receive_buffer: int | None = None,
) -> TCPConnector:
    """Make a connector that dials only what `rules` allow, judged at each dial. Call it in a running loop.

    Args:
        rules: what may be dialled.
        limit: connections at the same time, 0 for any number.
        force_close: never keep a connection for another request.
        resolver: looks names up, closed by who gave it; a `GuardedResolver` of its own when None.
        tls: verifies the peers; the system's authorities when None.
        receive_buffer: bytes the kernel may buffer per connection; its own choice when None. Bounds how much
            of a hostile answer arrives at once.
    """

    def dial(info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        _step("connecting")
        reason = _judge(rules, str(address[0]))
        if reason is not None:
            raise RefusedAddress(reason)
        dialled = socket.socket(family, kind, protocol)
        if receive_buffer is not None:
            dialled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        return dialled

    connector = TCPConnector(
        limit=limit,
        force_close=force_close,
        use_dns_cache=False,  # an answer is judged when it is dialled, not remembered
        resolver=resolver or GuardedResolver(rules),
        ssl=tls or tls_context(),
        socket_factory=dial,
    )
    connector._factory = functools.partial(_Handler, loop=asyncio.get_running_loop())  # type: ignore[assignment] # noqa: SLF001 -- aiohttp has no public way to give it a protocol
    return connector


class TooManyInterimAnswers(HttpProcessingError):
    """A peer sends 1xx answers and no end of them."""


class _Handler(ResponseHandler):
    """aiohttp's protocol with three changes.

    It gives up on a peer that sends nothing but interim answers (1xx). aiohttp reads them until the deadline;
    thousands fit into one read, and the event loop stands still meanwhile.

    A faulty body never spoils the status line before it: aiohttp would drop an answer whose head and whose
    faulty body, such as one after a 204, come in one read, and take it if they come in two.

    It hangs up on an answer that nobody asked for, such as the 408 that some proxies say before they close an
    idle connection. aiohttp would take it for the answer to the next request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._interim_answers = 0
        self._is_asked = False  # a request waits for its final answer
        self._params: dict[str, Any] = {}
        self._arrived = bytearray()  # of the answer that is waited for

    def set_response_params(self, **params: Any) -> None:
        self._is_asked, self._params = True, params
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if self._is_asked:
            self._arrived += data
            super().data_received(data)
        elif self._is_idle() and data and self.transport is not None:
            self.transport.close()
        else:
            super().data_received(data)

    def _is_idle(self) -> bool:
        return self._parser is not None and (self._payload is None or self._payload.is_eof())

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        if not (isinstance(exc, HttpProcessingError) and self._has_a_head_after_all()):
            super().set_exception(exc, *cause)

    def _has_a_head_after_all(self) -> bool:
        """Parse the head by itself, now that it could not be parsed with what follows it."""
        head, end, _ = self._arrived.partition(_END_OF_HEAD)
        self._arrived.clear()
        if end:
            super().set_response_params(**self._params)  # a new parser
            super().data_received(bytes(head + end))
        return bool(end) and not self._is_asked

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        code = data[0].code
        if code >= _FIRST_FINAL or code == _SWITCHING_PROTOCOLS:
            self._interim_answers = 0
            self._is_asked = False
            self._arrived.clear()
        else:
            self._interim_answers += 1
        if self._interim_answers <= _MOST_INTERIM_ANSWERS:
            super().feed_data(data, size)
        elif self.transport is not None and not self.transport.is_closing():
            self.transport.close()
            self.set_exception(TooManyInterimAnswers(message="too many interim answers"))


class _FollowedContext(ssl.SSLContext):
    """Marks the trail when a handshake begins; asyncio has no other hook between connect and TLS."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        _step("tls")
        return super().wrap_bio(*args, **kwargs)


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Make a context that verifies peers by the system's authorities, and by those in `ca_file` (PEM) too.

    Raises:
        OSError: `ca_file` can't be read, or holds no certificates (ssl.SSLError).
    """
    context = _FollowedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    context.set_alpn_protocols(("http/1.1",))
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _judge(rules: AddressRules, text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:  # 127.1 and the like: whatever would be dialled, it has not been judged
        return f"{text} is not written as an address"
    return refusal(rules, address)


def _result(host: str, address: str, port: int, family: int) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=socket.IPPROTO_TCP, flags=flags
    )
