"""`ringback`, which writes on a board (CHAOS_BOARD, see board.py) what it is doing.

Otherwise it is as it ships, on a disk as slow as a busy one: what happens too early, before a commit is on
the disk, happens a while before it.
"""

import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from chaos.board import STAGES, Board
from ringback.assembly import cli, opening
from ringback.assembly.world import World
from ringback.deliver.dispatcher import Dispatcher
from ringback.deliver.egress import Egress
from ringback.store import accounts, resends, settlements
from ringback.store.sqlite import Sqlite
from ringback.work.worker import Worker

Verb = Callable[..., Awaitable[Any]]

_board = Board(Path(os.environ["CHAOS_BOARD"]))
_COMMIT_S = (0.0, 0.008)
_IN_TRANSACTION = ("failing", "rotating", "resending")


def _replace(owner: object, name: str, make: Callable[[Any], Any]) -> None:
    setattr(owner, name, make(getattr(owner, name)))


def _stage(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Note that the server has come so far when it calls this."""

    def make(call: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*arguments: Any, **named: Any) -> Any:
            _board.set("stage", STAGES.index(name))
            return call(*arguments, **named)

        return noting

    return make


def _noted(name: str, wanted: Callable[..., bool] = lambda *_: True) -> Callable[[Verb], Verb]:
    """Note that a verb has been run in the open transaction."""

    def make(verb: Verb) -> Verb:
        async def noting(*arguments: Any, **named: Any) -> Any:
            found = await verb(*arguments, **named)
            if wanted(*arguments):
                _board.add(name, 1)
            return found

        return noting

    return make


def _writing(write: Verb) -> Verb:
    async def noting(*arguments: Any) -> Any:
        _board.add("pending", 1)
        try:
            return await write(*arguments)
        finally:
            _board.add("pending", -1)

    return noting


def _posting(post: Verb) -> Verb:
    async def noting(*arguments: Any) -> Any:
        _board.add("posting", 1)
        try:
            return await post(*arguments)
        finally:
            _board.add("posting", -1)
            _board.add("unrecorded", 1)

    return noting


def _recording(attempt: Verb) -> Verb:
    async def noting(*arguments: Any) -> Any:
        try:
            return await attempt(*arguments)
        finally:
            _board.add("unrecorded", -1)

    return noting


def _settling(settle: Callable[..., None]) -> Callable[..., None]:
    """After a commit: nothing is pending until the next group is."""

    def noting(*arguments: Any) -> None:
        for name in ("committing", *_IN_TRANSACTION):
            _board.set(name, 0)
        settle(*arguments)

    return noting


def _before_commit(units: int) -> None:
    _board.set("committing", units)
    time.sleep(random.uniform(*_COMMIT_S))


def main() -> None:
    """Run the command line."""
    _replace(opening, "migrate_sqlite", _stage("opening"))
    _replace(Worker, "load", _stage("loading"))
    _replace(Worker, "recover", _stage("recovering"))
    _replace(Worker, "start", _stage("serving"))
    _replace(Egress, "post", _posting)
    _replace(Dispatcher, "_attempt", _recording)
    _replace(Sqlite, "write", _writing)
    _replace(Sqlite, "_settle", _settling)
    _replace(
        settlements,
        "settle",
        _noted("failing", lambda _tx, _work, result, *_: result.cause != "acknowledged"),
    )
    _replace(accounts, "rotate", _noted("rotating"))
    _replace(resends, "resend", _noted("resending"))
    cli.main(
        World(
            token=os.environ["REPLICATE_API_TOKEN"],
            before_commit=_before_commit,
        )
    )


if __name__ == "__main__":
    main()
