"""`ringback`, with a point at which it stops: once armed, it says that it is there and waits.

The test holds the other end of the socket named in RINGBACK_TEST_HOOK (a descriptor): it sends `a` to arm,
gets a line when the point (RINGBACK_TEST_POINT) is reached, and answers `g` to let the process go on, or
kills it instead. Before a commit the line is the number of pending units.
"""

import os
import re
import socket
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a program, it finds only its own folder

from crash import points
from ringback.assembly import cli
from ringback.assembly.world import World
from ringback.deliver.dispatcher import Dispatcher
from ringback.deliver.egress import Egress
from ringback.rules.attempt import Result
from ringback.store import accounts, resends, settlements, trainings
from ringback.work.worker import Worker

Verb = Callable[..., Awaitable[Any]]

_hook = socket.socket(fileno=int(os.environ["RINGBACK_TEST_HOOK"]))
_point = os.environ.get("RINGBACK_TEST_POINT", points.BEFORE_COMMIT)
_armed = False


def _reached(point: str, line: str = "reached") -> None:
    global _armed  # noqa: PLW0603 - one point, which one thread reaches at a time
    if point != _point:
        return
    if not _armed:
        try:
            _armed = _hook.recv(1, socket.MSG_DONTWAIT) == b"a"
        except BlockingIOError:
            return
    if _armed:
        _hook.sendall(f"{line}\n".encode())
        _armed = False
        _hook.recv(1)


def _before(point: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def stopping(*arguments: Any) -> Any:
        _reached(point)
        return call(*arguments)

    return stopping


def _within(point: str, verb: Verb, wanted: Callable[..., bool] = lambda *_: True) -> Verb:
    """Stop when all statements of a verb have been run, and nothing is committed."""

    async def stopping(*arguments: Any, **named: Any) -> Any:
        found = await verb(*arguments, **named)
        if wanted(*arguments):
            _reached(point)
        return found

    return stopping


def _around_post(post: Verb) -> Verb:
    async def stopping(*arguments: Any) -> Any:
        _reached(points.BEFORE_POST)
        result = await post(*arguments)
        _reached(points.AFTER_POST)
        return result

    return stopping


class _Connection(sqlite3.Connection):
    """Stops in the first statement of a migration that changes rows, or at its commit."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.set_trace_callback(self._begins)

    def _begins(self, statement: str) -> None:
        # The comment that stands before a statement is part of its text.
        if re.search("^UPDATE", statement, re.MULTILINE):
            self.set_progress_handler(self._steps, 5000)
        if re.search("^COMMIT", statement, re.MULTILINE):
            _reached(points.MIGRATED)

    def _steps(self) -> int:
        _reached(points.MIGRATING)
        return 0


def _replace(owner: object, name: str, make: Callable[[Any], Any]) -> None:
    setattr(owner, name, make(getattr(owner, name)))


def _failed(_tx: object, _work: object, result: Result, *_: object) -> bool:
    return result.cause != "acknowledged"


def main() -> None:
    _replace(Worker, "wake", partial(_before, points.BEFORE_WORKER))
    _replace(Dispatcher, "granted", partial(_before, points.BEFORE_DISPATCH))
    _replace(Egress, "post", _around_post)
    _replace(settlements, "settle", lambda settle: _within(points.RESCHEDULING, settle, _failed))
    _replace(accounts, "rotate", partial(_within, points.ROTATING))
    _replace(resends, "resend", partial(_within, points.RESENDING))
    _replace(trainings, "end", partial(_within, points.TRAINED))
    if _point in points.STARTING:
        _replace(sqlite3, "connect", partial(partial, factory=_Connection))
    cli.main(
        World(
            token=os.environ["REPLICATE_API_TOKEN"],
            before_commit=lambda units: _reached(points.BEFORE_COMMIT, str(units)),
        )
    )


if __name__ == "__main__":
    main()
