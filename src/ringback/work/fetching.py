"""Why an input file could not be fetched, in a sentence a person can act on, as webhooks' diagnoses are."""

import errno
import os
import socket
import ssl
from collections.abc import Iterator

from aiohttp import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientResponseError,
    TooManyRedirects,
)

from ringback.net.guard import refused_address

_OS_HINTS = {
    errno.ECONNREFUSED: "connection refused, nothing listens there",
    errno.ENETUNREACH: "there is no route to it",
    errno.EHOSTUNREACH: "there is no route to it",
    errno.ECONNRESET: "the connection was reset",
    errno.ETIMEDOUT: "it does not answer",
}
_NO_ADDRESS = (socket.EAI_NONAME, socket.EAI_NODATA)


def fetch_fault(error: BaseException, timeout_s: float) -> str:
    """Explain what a download ended with.

    Args:
        error: what was raised.
        timeout_s: how long it might take, seconds.
    """
    refused = refused_address(error)
    if refused is not None:
        return f"refused: {refused.reason} (allow it with egress.allow)"
    if isinstance(error, TimeoutError):
        return f"it was not all there within {timeout_s:g} s"
    if isinstance(error, ClientConnectorError):
        return _unconnected(error)
    if isinstance(error, ClientError):
        return _broken(error)
    if isinstance(error, OSError) and error.strerror:
        return f"it can't be kept here: {error.strerror}"
    return str(error) or type(error).__name__


def _broken(error: ClientError) -> str:
    if isinstance(error, TooManyRedirects):
        return "it redirects too often"
    if isinstance(error, ClientResponseError):
        return error.message or type(error).__name__  # its text would repeat the whole URL
    return "the connection was closed before the whole file was there"


def _unconnected(error: ClientConnectorError) -> str:
    where = f"{error.host}:{error.port}"
    if isinstance(error, ClientConnectorDNSError):
        if error.os_error.errno in _NO_ADDRESS:
            return f"the name in {where} has no address: check the host in the URL"
        return f"the name in {where} could not be looked up: {error.os_error.strerror}"
    tls = next((one for one in _causes(error) if isinstance(one, ssl.SSLError)), None)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return f"the certificate of {where} is not trusted: {tls.verify_message}"
    if tls is not None:
        return f"{where} failed the TLS handshake: is the URL http:// rather than https://?"
    number = error.os_error.errno or 0
    hint = _OS_HINTS.get(number) or (os.strerror(number) if number else "none of its addresses answers")
    return f"can't connect to {where}: {hint}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ClientConnectorError) and isinstance(cause.os_error, ssl.SSLError):
            yield cause.os_error
        if not isinstance(cause, ClientError):  # aiohttp's wrappers are SSLErrors too, without the reason
            yield cause
        cause = cause.__cause__
