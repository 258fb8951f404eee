"""The listening socket, and HTTP on it."""

import asyncio
import contextlib
import logging
import math
import signal
import socket
from collections.abc import Callable

import uvicorn

from ringback.assembly.config import ServerConfig
from ringback.assembly.connection import Connection
from ringback.assembly.greeting import EVERYWHERE
from ringback.words.errors import SetupError

log = logging.getLogger(__name__)

_BACKLOG = 2048

_LAST_S = 5
"""Seconds in which requests that were cut off must have noticed it."""


def bound(server: ServerConfig) -> socket.socket:
    """Bind the socket; it does not listen yet.

    Raises:
        SetupError: the address can't be had.
    """
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((server.host, server.port))
    except OSError as error:
        listening.close()
        raise SetupError(
            f"can't listen on {server.host}:{server.port}: {error.strerror}; give another port with --port"
        ) from None
    return listening


def base_of(server: ServerConfig, listening: socket.socket) -> str:
    """Say how the server is reached: its public URL, or the address it is bound to."""
    if server.public_url:
        return server.public_url.rstrip("/")
    host, port = listening.getsockname()[:2]
    host = EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(listening: socket.socket) -> None:
    """Take connections from now on; they are answered once `answer` runs."""
    listening.listen(_BACKLOG)


async def answer(
    app: object, listening: socket.socket, server: ServerConfig, stopping: Callable[[], None]
) -> None:
    """Answer requests until a signal comes; a second one ends the waiting for those under way.

    Args:
        app: what answers (ASGI).
        listening: the socket.
        server: the settings.
        stopping: called when the signal comes, before the requests under way are waited for.
    """
    settings = uvicorn.Config(
        app,  # type: ignore[arg-type] # an ASGI application, in uvicorn's own words
        log_config=None,
        access_log=False,
        ws="none",
        http=Connection,
        proxy_headers=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=math.ceil(server.drain_s) + _LAST_S,
        backlog=_BACKLOG,
    )
    http = uvicorn.Server(settings)
    # uvicorn's own handlers raise the signal again after the shutdown; ours goes on to drain.
    http.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]

    loop = asyncio.get_running_loop()

    def stop() -> None:
        if http.should_exit:
            http.force_exit = True
            cut_off(http)
        else:
            http.should_exit = True
            loop.call_later(max(1.0, server.drain_s), cut_off, http)
            stopping()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await http.serve(sockets=[listening])


def cut_off(http: uvicorn.Server) -> None:
    """End the connections that are left: a body that has not come, an answer that nobody takes."""
    left = [each.transport for each in http.server_state.connections]
    if left:
        log.warning("stopping: cut off what was not through: %d connections", len(left))
    for transport in left:
        transport.abort()
