"""Runs one prediction: arguments in, values out as they come, an end in every case.

A Cancel interrupts synchronous code with a signal whose handler raises in the main thread (so that it reaches
into `time.sleep` too), and asynchronous code by canceling its task. Each prediction is interrupted once.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any, BinaryIO

from . import inputs, logs, protocol
from .channel import Channel
from .inputs import InputError
from .job import Job
from .outputs import OutputError, pack
from .parameters import Parameter
from .protocol import Done, Output, OutputFile, Status

_END = object()


class CancelationException(BaseException):
    """Raised in the model's code when its prediction is canceled; Cog's name for it."""


def cancelation() -> type[BaseException]:
    """Return the exception to raise: the model's environment's own, if it has imported Cog's."""
    found = getattr(sys.modules.get("cog"), "CancelationException", None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else CancelationException


class Interrupt:
    """Raises in the main thread, but only while it is in the code of a model whose job was canceled."""

    def __init__(self) -> None:
        self._running: Job | None = None
        self._thread = threading.get_ident()
        self.exception: type[BaseException] = CancelationException

    def call(self, job: Job, function: Callable[[], Any]) -> Any:
        """Call `function`; a Cancel of `job` makes it raise, wherever it is.

        The caller has to expect the exception. After this has returned or raised nothing interrupts any more.
        """
        try:
            signal.signal(signal.SIGUSR1, self._on_signal)  # each time: the model may have taken it
            job.interrupt = self._send
            self._running = job
            if job.canceled:
                raise self.exception("canceled")
            return function()
        finally:
            # A signal that lands here raises, which is as good; one that lands a line later does nothing.
            self._running = None
            job.interrupt = None

    def _send(self) -> None:
        signal.pthread_kill(self._thread, signal.SIGUSR1)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        job = self._running
        if job is not None and job.canceled:
            self._running = None
            raise self.exception("canceled")


class Loop:
    """The event loop that setup and all predictions share; made when it is first needed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def complete(self, awaitable: Awaitable[Any], job: Job | None = None) -> Any:
        """Run `awaitable` to its end and return its result; a Cancel of `job` cancels its task."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        loop, task = self._loop, self._loop.create_task(_awaited(awaitable))
        try:
            if job is not None:
                job.interrupt = lambda: loop.call_soon_threadsafe(task.cancel)
                if job.canceled:
                    task.cancel()
            return loop.run_until_complete(task)
        finally:
            if job is not None:
                job.interrupt = None
            self._reap(task)

    def _reap(self, task: asyncio.Task[Any]) -> None:
        """End a task that a sys.exit() in another one left behind; read its error, or asyncio warns of it."""
        assert self._loop is not None  # noqa: S101 - complete has just used it
        if not task.done():
            task.cancel()
            with contextlib.suppress(BaseException):
                self._loop.run_until_complete(task)
        if not task.cancelled():
            task.exception()


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


class Predictor:
    """The model, ready to run predictions one at a time."""

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: tuple[Parameter, ...],
        channel: Channel,
        loop: Loop,
        marker: str,
    ) -> None:
        self._function = function
        self._parameters = parameters
        self._channel = channel
        self._loop = loop
        self._marker = marker
        self._interrupt = Interrupt()
        self._interrupt.exception = cancelation()

    def run(self, job: Job) -> None:
        """Run `job` and tell the parent all about it; returns after its Done is sent."""
        started = time.monotonic()
        run = _Run(job, self._channel, self._loop, self._interrupt)
        status, error, last = run.outcome(self._function, self._parameters)
        seconds = time.monotonic() - started
        self._channel.stop_if_forked()
        self._channel.forget(job)
        job.discard()
        logs.mark(self._marker)
        self._channel.send(last + protocol.encode(Done(job.id, status, error, seconds)))


class _Run:
    def __init__(self, job: Job, channel: Channel, loop: Loop, interrupt: Interrupt) -> None:
        self._job = job
        self._channel = channel
        self._loop = loop
        self._interrupt = interrupt
        self._files = 0

    def outcome(
        self, function: Callable[..., Any], parameters: tuple[Parameter, ...]
    ) -> tuple[Status, str | None, bytes]:
        """Run the model; return how it ended, why it failed, and the frame of a value not yet sent."""
        try:
            last = self._produce(function, inputs.arguments(parameters, self._job))
        except (InputError, OutputError) as error:
            return self._failed(str(error))
        except BaseException as error:
            return self._raised(error)
        return ("canceled", None, b"") if self._job.canceled else ("succeeded", None, last)

    def _failed(self, error: str) -> tuple[Status, str | None, bytes]:
        return ("canceled", None, b"") if self._job.canceled else ("failed", error, b"")

    def _raised(self, error: BaseException) -> tuple[Status, str | None, bytes]:
        stopped = (self._interrupt.exception, asyncio.CancelledError)
        if self._job.canceled and isinstance(error, stopped):
            return "canceled", None, b""
        logs.report(error)
        if isinstance(error, SystemExit):
            return self._failed(
                f"the model called sys.exit({'' if error.code is None else repr(error.code)})"
            )
        return self._failed(logs.message(error))

    def _produce(self, function: Callable[..., Any], arguments: dict[str, Any]) -> bytes:
        """Call the model and send what it yields; return the frame of what it returned."""
        result = self._interrupt.call(self._job, partial(function, **arguments))
        if inspect.isawaitable(result):
            result = self._loop.complete(result, self._job)
        if isinstance(result, AsyncIterator):
            self._loop.complete(self._drain_async(result), self._job)
            return b""
        if isinstance(result, Iterator) and not isinstance(result, io.IOBase):
            self._drain(result)
            return b""
        return b"" if self._job.canceled else self._frame(result, append=False)

    def _drain(self, items: Iterator[Any]) -> None:
        try:
            while True:
                item = self._interrupt.call(self._job, partial(next, items, _END))
                if item is _END:
                    return
                self._channel.send(self._frame(item, append=True))
        finally:
            close = getattr(
                items, "close", None
            )  # a generator's own clean-up, now rather than some time later
            if callable(close):
                close()

    async def _drain_async(self, items: AsyncIterator[Any]) -> None:
        try:
            async for item in items:
                if self._job.canceled:  # one that never waits would not notice
                    raise asyncio.CancelledError
                self._channel.send(self._frame(item, append=True))
        finally:
            close = getattr(items, "aclose", None)
            if callable(close):
                await close()

    def _frame(self, value: Any, *, append: bool) -> bytes:
        packed = pack(value, self._send_file)
        try:
            return protocol.encode(Output(self._job.id, packed, append))
        except protocol.HeaderTooLargeError as error:
            limit = f"the limit of {protocol.MAX_HEADER} bytes"
            raise OutputError(
                f"output of {error.size} bytes is over {limit}; return a Path instead"
            ) from error
        except protocol.ProtocolError as error:
            raise OutputError(f"output is not JSON: {error.__cause__}") from error

    def _send_file(self, file: BinaryIO, name: str) -> int:
        number = self._files
        self._files += 1
        piece = file.read(protocol.PIECE)
        while True:
            following = file.read(protocol.PIECE) if piece else b""
            message = OutputFile(self._job.id, number, name or "output", last=not following)
            self._channel.send(protocol.encode(message, piece))
            if not following:
                return number
            piece = following
