"""A replica: one runner of a version. Its pool keeps it supplied, and starts it anew when it dies."""

import asyncio
import contextlib
import functools
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringback.rules.prediction import Move
from ringback.runner.protocol import ProtocolError
from ringback.store.runs import Claim
from ringback.words import json
from ringback.work.host import Host, RunnerError
from ringback.work.inputs import Fetched, InputError, close, file_inputs, needs_fetching
from ringback.work.pace import ReplicaSettings, ahead
from ringback.work.queue import Queue
from ringback.work.run import Desk, PredictionRun

log = logging.getLogger(__name__)

_LAST_WRITES_S = 2.0
"""Seconds a drain waits at least for results under way to be written."""


def _succeeded(future: asyncio.Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


class Replica:
    """Runs predictions of one queue, one after the other."""

    def __init__(
        self,
        name: str,
        queue: Queue,
        settings: ReplicaSettings,
        desk: Desk,
        handed_back: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what it works with; `load` starts its child, `fill` has it work.

        Args:
            name: owner/name, for the log.
            queue: what it runs.
            settings: how it is run.
            desk: where results go.
            handed_back: called when something that it had claimed waits again.
        """
        self.name = name
        self.settings = settings
        self.retired = False
        self.draining = False
        self.device: str | None = None
        self._queue = queue
        self._desk = desk
        self._on_handed_back = handed_back
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
        self._idle_since = asyncio.get_running_loop().time()
        self._began: float | None = None

    async def load(self, folder: Path, device: str | None = None) -> dict[str, object]:
        """Start the child and give the version's OpenAPI document.

        Args:
            folder: where it runs, with the version's files.
            device: what it may use of the machine's devices: "" none, None whatever the server may.

        Raises:
            RunnerError: it can't be imported or started.
        """
        settings = self.settings
        self._host = Host(
            settings.python,
            folder,
            settings.entry,
            self._desk.scratch,
            self._setup_logs,
            mode=settings.mode,
            weights=settings.weights,
            device=device,
        )
        try:
            schema = await self._host.loaded
        except RunnerError:
            self._awaited = self._host
            raise
        self._file_inputs = file_inputs(schema)
        return schema

    @property
    def gone(self) -> bool:
        """Whether it has no child to wait for: none yet, or one that is dead and whose end has been noted."""
        return self._host is None or (self._host.exited.done() and self._host is self._awaited)

    async def ready(self) -> bool:
        """Wait until the child is set up; say whether that is news.

        Raises:
            RunnerError: it can't be.
        """
        assert self._host is not None  # noqa: S101 - `load` comes first
        is_news, self._awaited = self._awaited is not self._host, self._host
        await self._host.ready
        if is_news:
            self._idle_since, self._began = asyncio.get_running_loop().time(), None
        return is_news

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

    @property
    def idle_s(self) -> float:
        """For how long it has been idle, seconds."""
        return asyncio.get_running_loop().time() - self._idle_since if self.idle else 0.0

    @property
    def turn_s(self) -> float:
        """How long ago its child was given its first prediction, seconds."""
        return 0.0 if self._began is None else asyncio.get_running_loop().time() - self._began

    @property
    def busy(self) -> bool:
        """Whether it has a prediction."""
        return bool(self._runs or self._preparing)

    @property
    def up(self) -> bool:
        """Whether its child is set up."""
        host = self._host
        return host is not None and _succeeded(host.ready) and not host.exited.done()

    @property
    def free(self) -> bool:
        """Whether it could begin something at once, and has not been called to."""
        return self.up and not self.busy and not self.retired and not self._called.is_set()

    @property
    def leaving(self) -> bool:
        """Whether it takes no more."""
        return self.retired or self.draining

    async def pause(self, seconds: float) -> None:
        """Wait that long whoever calls, but no longer than it is needed."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self.leaving and (left := end - loop.time()) > 0:
            await self.wait(left)

    async def wait(self, seconds: float) -> None:
        """Wait until somebody calls, at most that long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._called.wait(), seconds)
        self._called.clear()

    async def fill(self, *, alone: bool = True) -> int | None:
        """Claim as much as there is room for.

        Args:
            alone: whether nobody else could take what it claims.

        Returns:
            How much that was, or None if there was no room.
        """
        here = len(self._runs) + len(self._preparing)
        most = ahead(self._average, alone=alone)
        room = most - here
        if room * 2 <= most and here:
            return None  # half empty is early enough, and makes for fewer and larger claims
        claims = await self._queue.claim(room)
        if claims and self._began is None:
            self._began = asyncio.get_running_loop().time()
        for claim in claims:
            self._begin(claim)
        return len(claims)

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
        fetched = await self._desk.inputs.fetch(input_, self._file_inputs, run.claim.account)
        try:
            self._send(run, input_, fetched)
        finally:
            close(fetched)

    def _prepared(self, run: PredictionRun, task: "asyncio.Task[None]") -> None:
        """It is with the runner, or has to end here: by a callback, since a task may be cancelled unbegun."""
        del self._preparing[run.id]
        self._called.set()
        if task.cancelled() and self.draining:
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
        self._limit = asyncio.get_running_loop().call_later(self.settings.timeout_s, self._timed_out)

    def _timed_out(self) -> None:
        run = self._runs[0]
        run.timed_out = f"Prediction timed out after {self.settings.timeout_s:g} s (the model's time limit)"
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
        asyncio.get_running_loop().call_later(self.settings.cancel_grace_s, self._insist, host, run)

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
        elif self.draining:
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
        if await self._queue.hand_back(claims, self.settings.rerun, lambda: self.draining):
            self._called.set()
            self._on_handed_back()

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._finishing.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._finishing.discard(task)
        self._idle_since = asyncio.get_running_loop().time()
        self._called.set()  # a drain may be waiting for the last one
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("[%s] a result could not be written", self.name, exc_info=error)

    def retire(self) -> None:
        """Claim no more, and finish what is here."""
        self.retired = True
        if not self.up:
            self.stop()
        self._called.set()

    def stop(self) -> None:
        """Kill the child."""
        if self._host is not None:
            self._host.kill()

    async def stopped(self) -> None:
        """Kill the child, and wait until it is dead."""
        if self._host is not None:
            self._host.kill()
            await self._host.exited

    async def drain(self, grace_s: float) -> None:
        """Claim no more; let what runs finish within `grace_s` seconds, then hand it back."""
        self.draining = True
        self._called.set()
        loop = asyncio.get_running_loop()
        end = loop.time() + grace_s
        while not self.idle and (left := end - loop.time()) > 0:
            await self.wait(left)
        for task in self._preparing.values():
            task.cancel()
        if self._preparing:
            await asyncio.wait(self._preparing.values())
        await self.stopped()
        # A result that can't be written (a full disk) is not waited for for ever: recovery takes its
        # prediction over at the next start.
        if self._finishing:
            await asyncio.wait(self._finishing, timeout=max(_LAST_WRITES_S, end - loop.time()))
        for unwritten in list(self._finishing):
            unwritten.cancel()
