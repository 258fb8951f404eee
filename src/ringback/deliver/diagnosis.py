"""What went wrong with an attempt, in a sentence a person can act on: the cause, then the next step.

Nothing that a receiver sent is repeated raw, and nothing secret of the URL: users, passwords, the path and
query values are left out.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from aiohttp import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientResponseError,
    NonHttpUrlClientError,
)
from aiohttp.http_exceptions import LineTooLong

from ringback.net.guard import TooManyInterimAnswers, Trail, refused_address
from ringback.rules.address import AddressRules, refusal
from ringback.rules.attempt import Cause
from ringback.rules.url import literal_address, origin_of, redacted, url_fault

_LONGEST_LOCATION = 200

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STATUS_HINTS = {
    304: "Not Modified: only 2xx acknowledges a webhook",
    400: "the receiver could not read the request; its answer may say why",
    401: "the receiver wants other credentials; check its signing secret, or the user in the webhook's URL",
    403: "the receiver forbids it; check its signing secret and any firewall or bot protection before it",
    404: "nothing is at this path; check the webhook's URL",
    405: "this path takes no POST; check the webhook's URL",
    408: "the receiver did not get the whole request in time",
    409: "the receiver sees a conflict; a webhook it already has should be answered 2xx",
    410: "Gone: no more is sent",
    415: "the receiver does not take JSON; check which body types it accepts",
    422: "the receiver rejected the body; its answer may say why",
    425: "the receiver wants it later",
    429: "the receiver is getting too many requests",
    500: "the receiver failed; look into its log",
    502: "the gateway before the receiver got no valid answer from it; check that the receiver runs",
    503: "the receiver is not available now",
    504: "the gateway before the receiver got no answer from it in time; answer first and work afterwards",
}
_TOO_LARGE = 413
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_OK, _MULTIPLE = 200, 300

_OS_HINTS = {
    errno.ECONNREFUSED: "connection refused, nothing listens there",
    errno.ENETUNREACH: "there is no route to it",
    errno.EHOSTUNREACH: "there is no route to it",
    errno.ECONNRESET: "the connection was reset",
    errno.ETIMEDOUT: "it does not answer",
    errno.EMFILE: "this machine is out of file descriptors; raise its limit (ulimit -n)",
    errno.ENFILE: "this machine is out of file descriptors; raise its limit (ulimit -n)",
    errno.EADDRNOTAVAIL: "this machine is out of local ports, or has no address of that kind",
}

_PLAIN_HTTP = "does not speak TLS: is the webhook's URL http:// rather than https://?"
_NO_COMMON_VERSION = "has no TLS version in common with us: it needs TLS 1.2 or newer"
_TLS_HINTS = {
    "WRONG_VERSION_NUMBER": _PLAIN_HTTP,
    "RECORD_LAYER_FAILURE": _PLAIN_HTTP,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_COMMON_VERSION,
    "UNSUPPORTED_PROTOCOL": _NO_COMMON_VERSION,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "wants a client certificate, and webhooks carry none",
}

# X509_V_ERR_* of OpenSSL
_CERTIFICATE_HINTS = {
    9: "is not valid yet: check the clocks and the certificate's dates",
    10: "has expired: renew it",
    18: "is self-signed: use one from a public authority, or add it with egress.ca_file",
    19: "comes from a self-signed authority: add that authority with egress.ca_file",
    20: "comes from an unknown authority, or the chain is incomplete: send the intermediate certificates, "
    "or add the authority with egress.ca_file",
    21: "comes without its chain: send the intermediate certificates",
    62: "is for another host: check the webhook's URL and the certificate's names",
    64: "is for another address: use the name that stands in the certificate",
}


def is_acknowledged(status: int) -> bool:
    """Whether `status` acknowledges a webhook: 2xx and nothing else."""
    return _OK <= status < _MULTIPLE


def status_diagnosis(status: int, url: str, body_bytes: int, location: str | None, wait: float | None) -> str:
    """Explain a status line.

    Args:
        status: the HTTP status; 2xx gives "".
        url: where the request went.
        body_bytes: the length of the body that was sent.
        location: the answer's Location header.
        wait: the seconds its Retry-After asks for.
    """
    if is_acknowledged(status):
        return ""
    if status in _REDIRECTS:
        return _redirect_diagnosis(status, url, location)
    if status == _TOO_LARGE:
        return f"answered 413: the receiver's body limit is below {readable_size(body_bytes)}; raise it there"
    hint = _STATUS_HINTS.get(status) or _hint_of_class(status)
    sentence = f"answered {status} {hint}" if hint[0].isupper() else f"answered {status}: {hint}"
    return sentence if wait is None else f"{sentence}; it asks for {wait:.0f} s of patience"


def _hint_of_class(status: int) -> str:
    if status >= _SERVER_ERROR:
        return "the receiver, or a gateway before it, failed; look into its log"
    if status >= _CLIENT_ERROR:
        return "the receiver does not want it; its answer may say why"
    return "only 2xx acknowledges a webhook"


def _redirect_diagnosis(status: int, url: str, location: str | None) -> str:
    if not location:
        return f"answered {status} without a new address: redirects are not followed, check the webhook's URL"
    new = shown_location(url, location)
    return f"answered {status}, moved to {new} : give that address instead (redirects are not followed)"


def shown_location(url: str, location: str) -> str:
    """The absolute address that `location` means, seen from `url`; safe to print, at most 200 characters.

    The path of `url` stands there as /…: with some receivers that is the secret, and they redirect to it.
    """
    clean = "".join(char for char in location if char.isprintable())
    try:
        absolute, path = urljoin(url, clean), urlsplit(url).path.rstrip("/")
    except ValueError:
        absolute, path = clean, ""
    shown = redacted(absolute)
    if path:
        shown = re.sub(rf"(?<!/){re.escape(path)}(?!\w)", "/…", shown)
    return shown[:_LONGEST_LOCATION]


def readable_size(count: int) -> str:
    """Bytes in the decimal units that body limits are given in, rounded up: 1.2 MB."""
    for size, unit in ((1_000_000, "MB"), (1_000, "kB")):
        if count >= size:
            tenths = -(-count * 10 // size)
            return f"{tenths / 10:g} {unit}"
    return f"{count} bytes"


def failure(
    error: Exception, trail: Trail, url: str, timeout_s: float, rules: AddressRules, *, is_proxied: bool
) -> tuple[Cause, str]:
    """Explain why no status line came.

    Args:
        error: what the request ended with; a TimeoutError when the deadline passed.
        trail: how far it had come.
        url: where it went.
        timeout_s: the deadline, seconds.
        rules: what it may dial.
        is_proxied: whether it was to go through the egress proxy.
    """
    where = _host_and_port(url)
    refused = refused_address(error)
    if refused is not None:
        return "refused", _refusal_diagnosis(refused.reason)
    if isinstance(error, TimeoutError):
        return "timeout", f"no answer within {timeout_s:g} s: {_stopped(trail, where, is_proxied=is_proxied)}"
    # aiohttp's InvalidURL is a ValueError, but so are errors of certificates: those come later
    if trail.phase == "pooled" and isinstance(error, ValueError | NonHttpUrlClientError):
        bad_url = _bad_url_diagnosis(url, rules)
        if bad_url is not None:
            return "refused", bad_url
    if is_proxied and trail.phase in {"queued", "resolving", "connecting"}:
        return "connect", _proxy_diagnosis(error, where)
    if isinstance(error, ClientConnectorDNSError):
        return "dns", _dns_diagnosis(error.os_error, where)
    return _connection_failure(error, trail, where)


def _connection_failure(error: Exception, trail: Trail, where: str) -> tuple[Cause, str]:
    tls_error = _tls_error(error)
    if tls_error is not None or trail.phase == "tls":
        return "tls", _tls_diagnosis(tls_error, where)
    if isinstance(error, ClientConnectorError) or trail.phase == "connecting":
        return "connect", f"can't connect to {where}: {_os_hint(error)}"
    if isinstance(error, ClientError | OSError):
        return "disconnected", _broken_diagnosis(error, where)
    return "interrupted", f"the sender failed by itself ({type(error).__name__}); look into its log"


def _host_and_port(url: str) -> str:
    try:
        return origin_of(url).partition("://")[2]
    except (ValueError, KeyError):  # an attempt must end in a diagnosis even for what is no URL
        return shown_location(url, "")


def _refusal_diagnosis(reason: str) -> str:
    return f"refused: {reason} (allow it with egress.allow)"


def _stopped(trail: Trail, where: str, *, is_proxied: bool) -> str:
    if is_proxied and trail.phase in {"queued", "resolving", "connecting"}:
        return f"the egress proxy opened no connection to {where}; check egress.proxy and the proxy's rules"
    if trail.phase == "queued":
        return f"the name in {where} had to wait for too many other names; look for name servers that hang"
    if trail.phase == "resolving":
        return f"the name in {where} could not be looked up in time; check its name servers"
    if trail.phase == "connecting":
        return f"{where} does not accept connections; check the address and any firewall before it"
    if trail.phase == "tls":
        return f"{where} accepted the connection but did not finish the TLS handshake"
    return f"{where} was sent the request but has not answered; answer 2xx first and do the work afterwards"


def _bad_url_diagnosis(url: str, rules: AddressRules) -> str | None:
    fault = url_fault(url)
    if fault is not None:
        return f"refused: the webhook's URL {fault}"
    literal = literal_address(url)  # aiohttp dials none but the usual spelling
    if literal is None:
        return None
    reason = refusal(rules, literal)
    return _refusal_diagnosis(reason) if reason else f"refused: write the webhook's host as {literal}"


def _dns_diagnosis(error: OSError, where: str) -> str:
    if error.errno == socket.EAI_NONAME:
        return f"the name in {where} has no address: check the host in the webhook's URL"
    if error.errno == socket.EAI_NODATA:
        return (
            f"the name in {where} has no address that this machine could use: check IPv4, IPv6 and the host"
        )
    if error.errno == socket.EAI_AGAIN:
        return (
            f"the name in {where} could not be looked up: its name servers, or this machine's, don't answer"
        )
    return f"the name in {where} could not be looked up: {error.strerror or type(error).__name__}"


def _proxy_diagnosis(error: Exception, where: str) -> str:
    if isinstance(error, ClientHttpProxyError):
        return f"the egress proxy answered {error.status} when asked for {where}: check its rules"
    if isinstance(error, ClientConnectorDNSError):
        return "can't connect to the egress proxy: its name could not be looked up; check egress.proxy"
    if isinstance(error, ClientProxyConnectionError):
        return f"can't connect to the egress proxy: {_os_hint(error)}; check egress.proxy"
    return f"the egress proxy broke off when asked for {where}: check egress.proxy and the proxy's rules"


def _os_hint(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        return "none of its addresses answers"
    return _OS_HINTS.get(number) or errno.errorcode.get(number, f"error {number}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """The error of OpenSSL that `error` comes from, if it does."""
    # aiohttp's wrappers are SSLErrors too, but without the code and the reason
    found = (
        one for one in _causes(error) if isinstance(one, ssl.SSLError) and not isinstance(one, ClientError)
    )
    return next(found, None)


def _tls_diagnosis(error: ssl.SSLError | None, where: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = _CERTIFICATE_HINTS.get(error.verify_code, f"is not trusted: {error.verify_message}")
        return f"the certificate of {where} {hint}"
    if error is None or not error.reason:
        return f"{where} closed the connection during the TLS handshake"
    hint = _TLS_HINTS.get(error.reason, f"failed the TLS handshake: {error.reason.replace('_', ' ').lower()}")
    return f"{where} {hint}"


def _broken_diagnosis(error: BaseException, where: str) -> str:
    if isinstance(error, ClientResponseError):
        return f"{where} answered with {_malformation(error)}"
    if isinstance(error, OSError) and error.errno in {errno.ECONNRESET, errno.EPIPE}:
        return f"{where} reset the connection before answering"
    return f"{where} closed the connection before answering"


def _malformation(error: ClientResponseError) -> str:
    for cause in _causes(error):
        if isinstance(cause, LineTooLong):
            return "a header line over the limit; make its headers smaller"
        if isinstance(cause, TooManyInterimAnswers):
            return "nothing but interim answers (1xx)"
    if error.message.startswith("Too many"):  # aiohttp has no class of its own for it
        return "more headers than are read (128); send fewer"
    return "something that is not HTTP; check host, port and scheme"
