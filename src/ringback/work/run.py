"""One prediction being run: what the runner says of it becomes chunks, and chunks become transactions.

At most one append is under way; what comes meanwhile is collected and goes with the next one. So a token is
stored as soon as it comes while the database keeps up, and in larger groups when it doesn't.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from ringback.rules.prediction import Move, mask
from ringback.runner.protocol import Done, Output, OutputFile
from ringback.store import files as file_rows
from ringback.store import runs, trainings
from ringback.store.database import Tx
from ringback.store.lanes import Telling
from ringback.store.outbox import Outbox
from ringback.store.runs import Change, Claim, Ending, NewChunk
from ringback.store.trainings import Result
from ringback.words.errors import Unavailable
from ringback.words.json import canonical
from ringback.work.files import FileStore, Incoming, Stored, no_room, sync
from ringback.work.inputs import InputFiles
from ringback.work.training import NoWeightsError, made

log = logging.getLogger(__name__)

_START = mask(("start",))
_PARTIAL = mask(("output", "logs"))
_START_WITHIN_S = 0.01
"""Seconds within which a start nobody asked to hear of is recorded; a quicker prediction saves the write."""

_STORE_RETRY_S = 0.5
_ROOM_FOR_FILES_S = 600.0
"""Seconds that an output file waits for room on the disk (in memory) before its prediction fails."""

_FILE_RETRY_S = (0.5, 10.0)
_LOGS_LIMIT = 5_000_000
"""Characters of logs kept of one prediction; after that one line says so."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every run needs.

    Attributes:
        outbox: where changes go.
        clock: the wall clock, microseconds.
        files: where output files go.
        inputs: where input files come from.
        scratch: a folder for the runners' temporary files.
        trained: called when a training has made a version.
    """

    outbox: Outbox
    clock: Callable[[], int]
    files: FileStore
    inputs: InputFiles
    scratch: Path
    trained: Callable[[], None] = lambda: None


class PredictionRun:
    """Hears a runner about one prediction (a host.Listener) and writes it down."""

    def __init__(
        self,
        desk: Desk,
        claim: Claim,
        *,
        on_done: Callable[["PredictionRun"], None],
        on_lost: Callable[[str], None],
    ) -> None:
        """Take the claim.

        Args:
            desk: what every run needs.
            claim: the prediction.
            on_done: called when the runner is through with it.
            on_lost: called with its id when somebody else ended it: the runner should stop.
        """
        self.id = claim.hold.id
        self.claim = claim
        self.timed_out: str | None = None
        self.stopped = False
        self.verdict: Done | None = None
        self._desk = desk
        self._on_done = on_done
        self._on_lost = on_lost
        self._items: list[str] = []
        self._chunks: list[NewChunk] = []
        self._logged = 0
        self._incoming: Incoming | None = None
        self._started_at: int | None = None
        self._start_told = claim.status == "processing"
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._fault: str | None = None
        self._trouble = ""
        self._returned: object = None

    def begin(self) -> None:
        """The predictor starts on it now."""
        self._started_at = self._desk.clock()
        if self._start_told:
            return
        if self.claim.events & _START:
            self._write()
        else:
            self._timer = asyncio.get_running_loop().call_later(_START_WITHIN_S, self._write)

    @property
    def begun(self) -> bool:
        """Whether the predictor has started on it."""
        return self._started_at is not None

    def output(self, message: Output) -> None:
        """See host.Listener."""
        value = message.value
        if self.claim.kind == "training":
            self._returned = value  # shown with the version that it makes, when it ends
            return
        if self._incoming is not None and self._fault is not None:
            return  # it may name a file that is not there
        try:
            if self._incoming is not None:
                value = self._incoming.linked(value, self._url)
            text = canonical(value).decode()
        except (ValueError, RecursionError) as error:
            self._fault = f"the output can't be stored: {error}"
            return
        if message.append:
            self._items.append(text)
        else:
            self._close_items()
            self._chunks.append(("value", text))
        if message.append or self._incoming is not None:
            self._write()

    def output_file(self, message: OutputFile, piece: bytes) -> None:
        """See host.Listener."""
        if self._incoming is None:
            self._incoming = Incoming(self._desk.files)
        if self._fault is not None:
            return
        try:
            self._incoming.piece(message.file, message.name, piece, last=message.last)
        except OSError as error:
            self._fault = f"an output file can't be stored: {error.strerror}"

    def logs(self, text: str) -> None:
        """See host.Listener."""
        if self._logged >= _LOGS_LIMIT:
            return
        self._logged += len(text)
        if self._logged >= _LOGS_LIMIT:
            text = (
                text[: len(text) - (self._logged - _LOGS_LIMIT)]
                + "\n[ringback: the rest of the logs is left out]\n"
            )
        self._close_items()
        self._chunks.append(("logs", text))
        self._write()

    def done(self, message: Done) -> None:
        """See host.Listener."""
        self.verdict = message
        self._on_done(self)

    def _url(self, stored: Stored) -> str:
        return f"{self._desk.outbox.links.base}/f/{stored.id}/{stored.name}"

    def _close_items(self) -> None:
        if self._items:
            self._chunks.append(("items", f"[{','.join(self._items)}]"))
            self._items = []

    def _take(self) -> tuple[NewChunk, ...]:
        self._close_items()
        taken, self._chunks = tuple(self._chunks), []
        return taken

    def _write(self) -> None:
        if self._writing is None and self.verdict is None:
            self._writing = asyncio.create_task(self._append())

    async def _append(self) -> None:
        try:
            # Let the rest of what has just come in be part of the same write.
            await asyncio.sleep(0)
            while self.verdict is None and (self._items or self._chunks or not self._start_told):
                if not await self._append_once():
                    self._on_lost(self.id)
                    return
        except Exception as error:  # the end must still be written, and say so
            log.exception("prediction %s: output could not be written", self.id)
            self._fault = f"output could not be written: {error}"
        finally:
            self._writing = None

    async def _append_once(self) -> bool:
        started, chunks, files = not self._start_told, self._take(), self._take_files()
        stored = await self._stored(files)
        self._start_told = True

        async def verb(tx: Tx, telling: Telling) -> Change:
            await self._add_files(tx, stored)
            return await runs.advance(tx, self.claim.hold, started=started, chunks=chunks, telling=telling)

        change = await self._change((_START if started else 0) | (_PARTIAL if chunks else 0), verb)
        return change.held

    async def finish(self, move: Move, error: str | None, seconds: float | None) -> None:
        """Write the end; returns once it is durable, or somebody else had ended the prediction before.

        Args:
            move: succeed, fail or cancel.
            error: what went wrong, for fail.
            seconds: how long the predictor ran.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        result = await self._result() if move == "succeed" and self.claim.kind == "training" else None
        chunks, files = self._take(), self._take_files()
        stored = await self._stored(files)
        if self._fault is not None and move == "succeed":
            move, error = "fail", self._fault
        ran = None if seconds is None else int(seconds * 1_000_000)
        error = None if error is None else error.replace("\0", "\N{REPLACEMENT CHARACTER}")
        ending = Ending(move, error, chunks, self._started_at, ran)

        async def verb(tx: Tx, telling: Telling) -> Change:
            await self._add_files(tx, stored)
            if result is not None and move == "succeed":
                return await trainings.end(tx, self.claim.hold, ending, result, telling)
            return await runs.end(tx, self.claim.hold, ending, telling)

        change = await self._change(self.claim.events, verb)
        if result is not None and change.held:
            self._desk.trained()
        if self._incoming is not None:
            self._incoming.discard()

    async def _result(self) -> Result | None:
        """Give what a training has made; None, and a fault, if it is nothing to make a version of."""
        desk = self._desk
        self._incoming = self._incoming or Incoming(desk.files)
        try:
            return await made(self._returned, self._incoming, desk.inputs, self.claim.account, self._url)
        except NoWeightsError as error:
            self._fault = self._fault or str(error)
        except OSError as error:
            self._fault = f"the weights can't be stored: {error.strerror}"
        return None

    def _take_files(self) -> list[Stored]:
        if self._incoming is None:
            return []
        taken, self._incoming.complete = self._incoming.complete, []
        return taken

    async def _stored(self, taken: list[Stored]) -> list[Stored]:
        """Give complete files once they are on the disk; none, and a fault, if that fails.

        A full disk is waited for: what a model took hours to make is not thrown away because of it.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + _ROOM_FOR_FILES_S
        pause, longest = _FILE_RETRY_S
        while taken:
            try:
                await asyncio.to_thread(sync, taken)
            except OSError as error:
                if not no_room(error) or loop.time() >= end:
                    self._fault = f"an output file can't be stored: {error.strerror}"
                    for file in taken:
                        file.arriving.discard()
                    return []
                self._troubled(f"an output file can't be stored now: {error.strerror}")
                await asyncio.sleep(pause)
                pause = min(longest, pause * 2)
            else:
                break
        return taken

    def _troubled(self, what: str) -> None:
        """Say once what a prediction waits for: the store says how it goes on."""
        if what != self._trouble:
            self._trouble = what
            log.warning("prediction %s: %s; what it gives is kept until it can be stored", self.id, what)

    async def _add_files(self, tx: Tx, stored: list[Stored]) -> None:
        for file in stored:
            await file_rows.add(tx, file.id, self.id, file.name, file.content_type, file.size)

    async def _change(self, events: int, verb: Callable[[Tx, Telling], Awaitable[Change]]) -> Change:
        """Write a change that may tell `events`, as often as it takes: a result is never thrown away."""
        target = self.claim.target if events & self.claim.events else None
        while True:
            try:
                return await self._desk.outbox.change(target, verb)
            except Unavailable as error:
                self._troubled(str(error))
                await asyncio.sleep(_STORE_RETRY_S)
