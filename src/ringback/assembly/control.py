"""The control socket: how the operator's commands reach a running server.

A Unix socket in the data folder, for its owner only: whoever can open it could also open the database. One
order each connection: a line of JSON (assembly/orders.py), answered by a line of JSON: `{"done": ...}` or
`{"fault": "..."}`. With no server running the command does it by itself, under the folder's lock.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ringback.assembly.data import DataFolder, InUse
from ringback.assembly.orders import NewToken, Order
from ringback.assembly.remote import NOT_DONE, CommandFailed
from ringback.words.errors import RingbackError, SetupError

log = logging.getLogger(__name__)

_NAME = "control.sock"
_LONGEST = 65_536
"""Bytes of an order."""

_TOO_LONG = f"the order is over the limit of {_LONGEST:,} bytes"

_HEARD_S = 10.0
"""Seconds in which an order must have come."""

_STARTS_S, _AGAIN_S = 10.0, 0.1
"""How long, and how often, a command tries while a server that starts or stops holds the folder."""

Carry = Callable[[Order], Awaitable[Any]]
"""Carries out an order and gives what there is to say, as JSON's values."""


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[tuple[int, str]]:
    """Give the folder's descriptor, and a way to the socket in it that fits into the 108 bytes there are."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor, f"/proc/self/fd/{descriptor}/{_NAME}"
    finally:
        os.close(descriptor)


@contextlib.asynccontextmanager
async def answering(folder: Path, carry: Carry) -> AsyncIterator[None]:
    """Answer orders. The folder is locked, so a socket that is there is a dead server's.

    Where none can be made (some shared folders of virtual machines know no sockets), the log says so.
    """
    with contextlib.ExitStack() as stack:
        try:
            descriptor, path = stack.enter_context(_beside(folder))
            _remove(descriptor)
            bound = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            os.fchmod(bound.fileno(), 0o600)  # before it has a name: nobody else gets in in between
            bound.bind(path)
        except OSError as error:
            why = error.strerror
            log.warning(
                "can't make %s: %s; no `ringback token` or `models` while this server runs", _NAME, why
            )
            yield
            return
        stack.callback(_remove, descriptor)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _answer(carry, reader, writer)

        server = await asyncio.start_unix_server(answer, sock=bound, limit=_LONGEST)
        try:
            yield
        finally:
            server.close()


def _remove(descriptor: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_NAME, dir_fd=descriptor)


async def _answer(carry: Carry, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(_HEARD_S):
            line = await _line(reader)
        answer = await _carried(carry, line) if line else {"fault": _TOO_LONG}
        writer.write(msgspec.json.encode(answer) + b"\n")
        await writer.drain()
    except (OSError, TimeoutError) as error:  # it left, or said nothing
        log.warning("control: no order came: %s", error)
    finally:
        writer.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Give the order, or nothing if it is too long; what ends without a line's end is an order too."""
    try:
        return await reader.readline() or b"\n"
    except ValueError:
        return b""


async def _carried(carry: Carry, line: bytes) -> dict[str, Any]:
    try:
        wanted = msgspec.json.decode(line, type=Order)
    except (msgspec.MsgspecError, RecursionError) as error:
        return {"fault": f"the server does not know this order: {error}; is it of another version?"}
    try:
        return {"done": await carry(wanted)}
    except (RingbackError, SetupError) as error:
        return {"fault": str(error)}
    except Exception:  # the boundary: a fault of ours is logged, and whoever ordered hears of it
        log.exception("control: an order failed")
        return {"fault": "something went wrong in the server; its log says what"}


def order(data: str, wanted: Order, alone: Callable[[DataFolder, Order], Any]) -> Any:
    """Have an order carried out by the server of a data folder, or by `alone` if none is running.

    Raises:
        CommandFailed: it was not done; says why.
        SetupError: the data folder can't be used.
    """
    folder = Path(data).absolute()
    until = time.monotonic() + _STARTS_S
    while True:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            return _asked(folder, wanted)
        try:
            return _by_itself(folder, wanted, alone)
        except InUse:
            if time.monotonic() > until:
                raise CommandFailed(f"the server on {folder} is starting or stopping: try again") from None
            time.sleep(_AGAIN_S)


def _by_itself(folder: Path, wanted: Order, alone: Callable[[DataFolder, Order], Any]) -> Any:
    if not isinstance(wanted, NewToken) and not (folder / "ringback.sqlite").exists():
        raise CommandFailed(f"there is no data of a server in {folder}: give its folder with --data")
    held = DataFolder(str(folder))
    try:
        return alone(held, wanted)
    except RingbackError as error:
        raise CommandFailed(error.detail, NOT_DONE) from None
    finally:
        held.close()


def _asked(folder: Path, wanted: Order) -> Any:
    """Ask a running server; FileNotFoundError or ConnectionRefusedError says that there is none."""
    text = msgspec.json.encode(wanted) + b"\n"
    if len(text) > _LONGEST:
        raise CommandFailed(_TOO_LONG)
    try:
        with (
            _beside(folder) as (_, path),
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking,
        ):
            asking.connect(path)
            asking.sendall(text)
            text = b"".join(iter(lambda: asking.recv(_LONGEST), b""))
        answer = msgspec.json.decode(text)
    except (FileNotFoundError, ConnectionRefusedError):
        raise
    except (OSError, msgspec.MsgspecError) as error:
        why = getattr(error, "strerror", None) or "it ended before it answered; its log may say why"
        raise CommandFailed(f"can't talk to the server on {folder}: {why}") from None
    if "fault" in answer:
        raise CommandFailed(answer["fault"], NOT_DONE)
    return answer["done"]
