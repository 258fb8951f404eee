"""A replica: one runner of a version, kept supplied with predictions and replaced when it dies."""

import asyncio
import contextlib
import functools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ringback.rules.prediction import Move
from ringback.runner.protocol import ProtocolError
from ringback.store import runs
from ringback.store.lanes import Telling
from ringback.store.runs import Claim
from ringback.words import json
from ringback.words.errors import Unavailable
from ringback.work.files import no_room
from ringback.work.host import Host, NotNow, RunnerError
from ringback.work.inputs import Fetched, InputError, close, file_inputs, needs_fetching
from ringback.work.pace import ReplicaSettings, ahead
from ringback.work.run import Desk, PredictionRun

log = logging.getLogger(__name__)

_POLL_S = 5.0
"""Seconds after which it looks for work even if nobody called: a net, not the way."""

_BACKOFF_S = (1.0, 60.0)
_UNSERVED_BATCH = 500
_STORE_RETRY_S = 0.5
NOT_NOW_S = 10.0
"""Seconds until a child that the machine had no room for is tried again."""

_LAST_WRITES_S = 2.0
"""Seconds a drain waits at least for results under way to be written."""


def _succeeded(future: asyncio.Future[dict[str, object]]) -> bool:
    return future.done() and future.exception() is None


class Replica:
    """Runs predictions of one version, one after the other."""

    def __init__(
        self,
        name: str,
        version: str,
        settings: ReplicaSettings,
        desk: Desk,
        holder: str,
        folder_now: Callable[[], Awaitable[Path]] | None = None,
    ) -> None:
        """Take what it works with; `serve` does the work.

        Args:
            name: owner/name, for the log.
            version: the version's id.
            settings: how it is run.
            desk: where results go.
            holder: this process's name in leases.
            folder_now: gives the folder to start the child in, when that may have changed.
        """
        self.name = name
        self.version = version
        self._settings = settings
        self._desk = desk
        self._holder = holder
        self._folder_now = folder_now
        self._host: Host | None = None
        self._awaited: Host | None = None  # the host whose being ready, or not, has been noted
        self._runs: deque[PredictionRun] = deque()
        self._by_id: dict[str, PredictionRun] = {}
        self._called = asyncio.Event()
        self._preparing: dict[str, asyncio.Task[None]] = {}
        self._file_inputs: frozenset[str] = frozenset()
        self._average: float | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._finishing: set[asyncio.Task[None]] = set()
        self._draining = False
        self._failures = 0

    async def load(self) -> dict[str, object]:
        """Start the child and give the version's OpenAPI document.

        Raises:
            RunnerError: it can't be imported or started.
        """
        settings = self._settings
        folder = settings.folder
        if self._folder_now is not None and self._host is not None:
            try:
                folder = await self._folder_now()
            except OSError as error:
                kind = NotNow if no_room(error) else RunnerError
                raise kind(f"its files can't be put in place: {error}") from error
        self._host = Host(settings.python, folder, settings.entry, self._desk.scratch, self._setup_logs)
        schema = await self._host.loaded
        self._file_inputs = file_inputs(schema)
        return schema

    def _setup_logs(self, text: str) -> None:
        """Pass on what the model prints outside of predictions.

        While it is being imported only to who debugs: if that fails, the one line that says why is enough.
        """
        host = self._host
        level = logging.INFO if host is not None and _succeeded(host.loaded) else logging.DEBUG
        for line in text.splitlines():
            if line.strip():
                log.log(level, "[%s] %s", self.name, line)

    def wake(self) -> None:
        """Look for work now."""
        self._called.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is running and nothing is left to be written."""
        return not self._runs and not self._finishing and not self._preparing

    async def serve(self, *, until_empty: bool = False) -> None:
        """Run predictions until `drain`, or until the queue is empty."""
        while not self._draining:
            try:
                await self._ready()
                empty = await self._fill()
            except NotNow as error:  # not the model's fault: what waits for it goes on waiting
                log.error("[%s] %s; next try in %.0f s", self.name, error, NOT_NOW_S)
                await self._pause(NOT_NOW_S)
                empty = False
            except RunnerError as error:
                if self._stopping():
                    return
                await self._setup_failed(str(error))
                empty = False
            except Unavailable:
                await self._pause(_STORE_RETRY_S)
                empty = False
            except Exception:  # a replica that gives up would leave its model unserved, unseen
                log.exception("[%s] going on after an unexpected error", self.name)
                await self._pause(_BACKOFF_S[0])
                empty = False
            if until_empty and empty and self.idle:
                return
            if empty:
                await self._wait(_POLL_S)

    def _stopping(self) -> bool:
        return self._draining

    async def _ready(self) -> None:
        if self._host is None or (self._host.exited.done() and self._host is self._awaited):
            await self.load()
        assert self._host is not None  # noqa: S101 - `load` has just set it
        self._awaited = self._host
        await self._host.ready
        self._failures = 0

    async def _setup_failed(self, reason: str) -> None:
        """Fail what is waiting, with the reason, and try again after a pause that grows."""
        low, high = _BACKOFF_S
        pause = min(high, low * 2**self._failures)
        self._failures += 1
        log.error("[%s] setup failed: %s; next try in %.0f s", self.name, reason, pause)
        self.stop()
        await self._fail_waiting(f"Model setup failed: {reason}")
        await self._pause(pause)

    async def _fail_waiting(self, reason: str) -> None:
        outbox = self._desk.outbox
        telling = Telling(outbox.window_us, outbox.links)
        with contextlib.suppress(Unavailable):
            while await outbox.database.write(
                lambda tx: runs.fail_unserved(tx, self.version, "", reason, telling, _UNSERVED_BATCH)
            ):
                pass
            outbox.dispatch.wake()

    async def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._draining and (left := end - loop.time()) > 0:
            await self._wait(left)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._called.wait(), seconds)
        self._called.clear()

    async def _fill(self) -> bool:
        """Claim as much as there is room for; True when there is nothing to do until somebody calls."""
        here = len(self._runs) + len(self._preparing)
        room = ahead(self._average) - here
        if room * 2 <= ahead(self._average) and here:
            return True  # half empty is early enough, and makes for fewer and larger claims
        claims = await self._desk.outbox.database.write(
            lambda tx: runs.claim(tx, self.version, "", self._holder, room)
        )
        for claim in claims:
            self._begin(claim)
        return not claims

    def _begin(self, claim: Claim) -> None:
        run = PredictionRun(self._desk, claim, on_done=self._done, on_lost=self.cancel)
        input_ = json.decode(claim.input.encode())
        if needs_fetching(input_, self._file_inputs):
            task = asyncio.ensure_future(self._prepare(run, input_))
            self._preparing[run.id] = task
            task.add_done_callback(functools.partial(self._prepared, run))
        else:
            self._send(run, input_, [])

    async def _prepare(self, run: PredictionRun, input_: dict[str, Any]) -> None:
        """Fetch its input files, then give it to the runner."""
        fetched = await self._desk.inputs.fetch(input_, self._file_inputs)
        try:
            self._send(run, input_, fetched)
        finally:
            close(fetched)

    def _prepared(self, run: PredictionRun, task: "asyncio.Task[None]") -> None:
        """It is with the runner, or has to end here: by a callback, since a task may be cancelled unbegun."""
        del self._preparing[run.id]
        self._called.set()
        if task.cancelled() and self._draining:
            self._give_back([run])
        elif task.cancelled():
            self._write_end(run, "cancel", None, None)
        elif (error := task.exception()) is not None:
            if not isinstance(error, InputError):
                log.error("[%s] the input of %s can't be prepared", self.name, run.id, exc_info=error)
            self._write_end(run, "fail", str(error), None)

    def _send(self, run: PredictionRun, input_: dict[str, Any], fetched: list[Fetched]) -> None:
        host = self._host
        if host is None or host.exited.done():
            self._give_back([run])
            return
        try:
            for item in fetched:
                for message, piece in item.frames(run.id):
                    host.send_file(message, piece)
            host.run(run, input_)
        except ProtocolError as error:
            self._write_end(run, "fail", f"the input can't be given to the model: {error}", None)
            return
        if not self._runs:
            host.exited.add_done_callback(self._died)
        self._runs.append(run)
        self._by_id[run.id] = run
        if len(self._runs) == 1:
            self._start_head()

    def _start_head(self) -> None:
        self._runs[0].begin()
        self._limit = asyncio.get_running_loop().call_later(self._settings.timeout_s, self._timed_out)

    def _timed_out(self) -> None:
        run = self._runs[0]
        run.timed_out = f"Prediction timed out after {self._settings.timeout_s:g} s (the model's time limit)"
        self._stop(run)

    def cancel(self, prediction_id: str) -> None:
        """Stop a prediction if it is here: the predictor is asked, and killed if it goes on."""
        run = self._by_id.get(prediction_id)
        if run is not None:
            self._stop(run)
        elif prediction_id in self._preparing:
            self._preparing[prediction_id].cancel()

    def _stop(self, run: PredictionRun) -> None:
        host = self._host
        if host is None or run.stopped:
            return
        run.stopped = True
        host.cancel(run.id)
        asyncio.get_running_loop().call_later(self._settings.cancel_grace_s, self._insist, host, run)

    def _insist(self, host: Host, run: PredictionRun) -> None:
        if run.verdict is None and self._runs and self._runs[0] is run:
            log.warning("[%s] %s went on after it was told to stop: killing its process", self.name, run.id)
            host.kill()

    def _done(self, run: PredictionRun) -> None:
        """The runner is through with the head."""
        verdict = run.verdict
        assert verdict is not None  # noqa: S101 - set by the caller
        self._leave(run)
        average = self._average
        self._average = verdict.seconds if average is None else 0.8 * average + 0.2 * verdict.seconds
        if run.timed_out is not None:
            self._write_end(run, "fail", run.timed_out, verdict.seconds)
        elif verdict.status == "succeeded":
            self._write_end(run, "succeed", None, verdict.seconds)
        elif verdict.status == "canceled":
            self._write_end(run, "cancel", None, verdict.seconds)
        else:
            self._write_end(run, "fail", verdict.error or "failed", verdict.seconds)

    def _leave(self, run: PredictionRun) -> None:
        self._runs.popleft()
        del self._by_id[run.id]
        if self._limit is not None:
            self._limit.cancel()
        if self._runs:
            self._start_head()
        elif self._host is not None:
            self._host.exited.remove_done_callback(self._died)
        self._called.set()

    def _died(self, exited: "asyncio.Future[str]") -> None:
        """The child is gone: its prediction fails, those it had not begun go back to the queue."""
        how = exited.result()
        if self._limit is not None:
            self._limit.cancel()
        head, *rest = self._runs
        self._runs.clear()
        self._by_id.clear()
        if head.timed_out is not None:
            self._write_end(head, "fail", head.timed_out, None)
        elif head.stopped:
            self._write_end(head, "cancel", None, None)
        elif self._draining:
            rest.insert(0, head)
        else:
            log.error("[%s] the model's process %s while running %s", self.name, how, head.id)
            self._write_end(head, "fail", f"The model's process {how}", None)
        self._give_back(rest)
        self._called.set()

    def _write_end(self, run: PredictionRun, move: Move, error: str | None, seconds: float | None) -> None:
        self._keep(asyncio.ensure_future(run.finish(move, error, seconds)))

    def _give_back(self, runs: list[PredictionRun]) -> None:
        if runs:
            self._keep(asyncio.ensure_future(self._hand_back([run.claim for run in runs])))

    async def _hand_back(self, claims: list[Claim]) -> None:
        holds = [claim.hold for claim in claims]
        outbox = self._desk.outbox
        telling = Telling(outbox.window_us, outbox.links)
        while True:
            try:
                await outbox.database.write(
                    lambda tx: runs.hand_back(tx, holds, telling, self._settings.rerun)
                )
            except Unavailable:
                if self._draining:
                    return  # recovery at the next start does the same
                await asyncio.sleep(_STORE_RETRY_S)
            else:
                break
        outbox.dispatch.wake()
        self._called.set()

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._finishing.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._finishing.discard(task)
        self._called.set()  # a drain may be waiting for the last one
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("[%s] a result could not be written", self.name, exc_info=error)

    def stop(self) -> None:
        """Kill the child."""
        if self._host is not None:
            self._host.kill()

    async def drain(self, grace_s: float) -> None:
        """Claim no more; let what runs finish within `grace_s` seconds, then hand it back."""
        self._draining = True
        self._called.set()
        loop = asyncio.get_running_loop()
        end = loop.time() + grace_s
        while not self.idle and (left := end - loop.time()) > 0:
            await self._wait(left)
        for task in self._preparing.values():
            task.cancel()
        if self._preparing:
            await asyncio.wait(self._preparing.values())
        if self._host is not None:
            self._host.kill()
            await self._host.exited
        # A result that can't be written (a full disk) is not waited for for ever: recovery takes its
        # prediction over at the next start.
        if self._finishing:
            await asyncio.wait(self._finishing, timeout=max(_LAST_WRITES_S, end - loop.time()))
        for unwritten in list(self._finishing):
            unwritten.cancel()
