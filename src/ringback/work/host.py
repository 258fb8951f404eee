"""The parent's side of one runner: starts the child, carries frames and logs, judges its death.

Death is judged by a pidfd, not by end-of-file: a grandchild can keep the pipes open for ever. When the child
is gone its whole process group is killed.
"""

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ringback.runner import command
from ringback.runner.protocol import (
    Cancel,
    Decoder,
    Done,
    InputFile,
    Load,
    Loaded,
    LoadFailed,
    Message,
    Output,
    OutputFile,
    ProtocolError,
    Ready,
    Run,
    SetupFailed,
    encode,
)
from ringback.work.devices import VISIBLE
from ringback.work.files import no_room
from ringback.work.logs import LogStream

T = TypeVar("T")
log = logging.getLogger(__name__)

_READ = 1 << 18
_SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
_LAST_READS = 256


class RunnerError(Exception):
    """The runner could not be started or set up; the message says why in one line."""


class NotNow(RunnerError):
    """The machine can't start it now, whatever it is: no room on the disk, no processes, no descriptors."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a training made: where the file lies, and what it is called."""

    path: Path
    name: str


class Listener(Protocol):
    """Who hears what becomes of a prediction. Called in the event loop, in order."""

    id: str

    def output(self, message: Output) -> None:
        """A value."""

    def output_file(self, message: OutputFile, piece: bytes) -> None:
        """A piece of a file."""

    def logs(self, text: str) -> None:
        """What it printed."""

    def done(self, message: Done) -> None:
        """It is over: all its output and logs have been heard."""


class Host:
    """One child process with one predictor."""

    def __init__(
        self,
        python: str,
        folder: Path,
        entry: str,
        scratch: Path,
        on_setup_logs: Callable[[str], None],
        *,
        mode: str = "predict",
        weights: Weights | None = None,
        device: str | None = None,
    ) -> None:
        """Start the child; await `loaded`, then `ready`.

        Args:
            python: the interpreter that runs the model.
            folder: the model's folder, the child's working directory.
            entry: file.py:Class.
            scratch: a folder for its temporary files, which go when it is gone.
            on_setup_logs: hears what is printed outside of any prediction.
            mode: predict, or train if the entry is what trains the model.
            weights: what it is to work with, if a training made its version.
            device: which GPU it may use: one's name, "" for none; None for whatever the server may.

        Raises:
            RunnerError: the interpreter can't be started.
        """
        self._loop = asyncio.get_running_loop()
        marker = secrets.token_hex(16)
        self._setup_logs = on_setup_logs
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            self._scratch = tempfile.mkdtemp(prefix="runner-", dir=scratch)
            self._spawn(python, folder, _environment(self._scratch, weights, device))
        except OSError as error:
            raise _unstartable(error, f"can't start a process for it: {error}") from error
        self.loaded: asyncio.Future[dict[str, object]] = self._loop.create_future()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.exited: asyncio.Future[str] = self._loop.create_future()
        self.loaded.add_done_callback(_retrieve)
        self.ready.add_done_callback(_retrieve)
        self._running: dict[str, Listener] = {}
        self._logging: deque[Listener] = deque()
        self._done: dict[str, Done] = {}
        self._loading = True
        self._decoder = Decoder()
        self._stream = LogStream(marker)
        self._unsent = bytearray()
        self._watch()
        self._send(encode(Load(entry, marker, mode)))

    def _spawn(self, python: str, folder: Path, environment: dict[str, str]) -> None:
        self._control, control = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        self._logs, logs = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own model and interpreter
                command(python, control.fileno(), lifeline),
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=logs,
                stderr=logs,
                pass_fds=(control.fileno(), lifeline),
                start_new_session=True,
            )
        except OSError as error:
            for fd in (self._lifeline, self._logs):
                os.close(fd)
            self._control.close()
            raise _unstartable(error, f"can't start {python} in {folder}: {error.strerror}") from error
        finally:
            control.close()
            os.close(lifeline)
            os.close(logs)
        self._control.settimeout(0)
        os.set_blocking(self._logs, False)

    def _watch(self) -> None:
        self._loop.add_reader(self._control.fileno(), self._read_control)
        self._loop.add_reader(self._logs, self._read_logs)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pidfd, self._died)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def run(self, listener: Listener, input_: dict[str, object]) -> None:
        """Send a prediction; several may be sent ahead, the child runs them one after the other.

        Raises:
            ProtocolError: the input is over the protocol's limits.
        """
        frame = encode(Run(listener.id, input_))
        self._running[listener.id] = listener
        self._logging.append(listener)
        self._send(frame)

    def send_file(self, message: InputFile, piece: bytes) -> None:
        """Send a piece of an input file, before the Run it belongs to."""
        self._send(encode(message, piece))

    def cancel(self, prediction_id: str) -> None:
        """Ask the predictor to stop; `kill` is what follows if it doesn't."""
        self._send(encode(Cancel(prediction_id)))

    def kill(self) -> None:
        """Kill the child and everything it started."""
        if self.exited.done():
            return  # it is reaped: the id may be somebody else's by now
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _send(self, frame: bytes) -> None:
        if self.exited.done():
            return
        if not self._unsent:
            try:
                frame = frame[self._control.send(frame) :]
            except BlockingIOError:
                pass
            except OSError:
                return  # it is dying; _died says so
            if frame:
                self._loop.add_writer(self._control.fileno(), self._flush)
        self._unsent += frame

    def _flush(self) -> None:
        try:
            del self._unsent[: self._control.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        if not self._unsent:
            self._loop.remove_writer(self._control.fileno())

    def _read_control(self) -> bool:
        """Read what there is; False when there is no more for now."""
        try:
            data = self._control.recv(_READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._control.fileno())
            return False
        try:
            for message, payload in self._decoder.feed(data):
                self._heard(message, payload)
        except ProtocolError as error:
            log.error("runner %d: %s; killing it", self.pid, error)
            self.kill()
            return False
        except (
            Exception
        ):  # whatever it was, the frames behind it are lost: only the end of the child is clean
            log.exception("runner %d: a message could not be taken; killing it", self.pid)
            self.kill()
            return False
        return True

    def _heard(self, message: Message, payload: bytes) -> None:
        match message:
            case Output():
                self._of(message.id).output(message)
            case OutputFile():
                self._of(message.id).output_file(message, payload)
            case Done():
                self._of(message.id)
                self._done[message.id] = message
                self._finish()
            case Loaded():
                _resolve(self.loaded, dict(message.schema))
            case Ready():
                _resolve(self.ready, None)
            case LoadFailed() | SetupFailed():
                self._failed(message.error)
            case _:
                raise ProtocolError(f"the child sent a {type(message).__name__}")

    def _of(self, prediction_id: str) -> Listener:
        listener = self._running.get(prediction_id)
        if listener is None:
            raise ProtocolError(f"a message about {prediction_id}, which is not running")
        return listener

    def _failed(self, reason: str) -> None:
        if not self.loaded.done():
            self.loaded.set_exception(RunnerError(reason))
        if not self.ready.done():
            self.ready.set_exception(RunnerError(reason))

    def _finish(self) -> None:
        """A prediction is over when both its Done and the end of its logs are here, which may take turns."""
        while len(self._logging) < len(self._running):
            head = next(iter(self._running.values()))
            if head.id not in self._done:
                return
            del self._running[head.id]
            head.done(self._done.pop(head.id))

    def _read_logs(self) -> bool:
        """Read what there is; False when there is no more for now."""
        try:
            data = os.read(self._logs, _READ)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._logs)
            return False
        self._hear(self._stream.feed(data))
        self._finish()
        return True

    def _hear(self, texts: Iterable[str | None]) -> None:
        for text in texts:
            if text is not None:
                # What comes between two predictions belongs to none of them.
                between = self._loading or not self._logging
                (self._setup_logs if between else self._logging[0].logs)(text)
            elif self._loading:
                self._loading = False
            elif self._logging:
                self._logging.popleft()

    def _died(self) -> None:
        """The child is gone: hear what it left, then kill what it started."""
        self._loop.remove_reader(self._pidfd)
        # Before it is reaped: its pid, which is its group's id, can't be given to anybody else until then.
        self.kill()
        # Bounded: somebody who left the group may go on writing for ever.
        for read in (self._read_control, self._read_logs):
            for _ in range(_LAST_READS):
                if not read():
                    break
        self._hear(self._stream.end())
        for fd in (self._control.fileno(), self._logs):
            self._loop.remove_reader(fd)
        self._loop.remove_writer(self._control.fileno())
        how = _how(self._process.wait())
        self._control.close()
        for fd in (self._logs, self._lifeline, self._pidfd):
            os.close(fd)
        self._failed(f"the model's process {how} before it was ready")
        self._loop.run_in_executor(None, partial(shutil.rmtree, self._scratch, ignore_errors=True))
        self.exited.set_result(how)


def _unstartable(error: OSError, reason: str) -> RunnerError:
    return NotNow(reason) if no_room(error) or error.errno in _SHORT_OF else RunnerError(reason)


def _environment(scratch: str, weights: Weights | None, device: str | None) -> dict[str, str]:
    """Give the child's environment: ours, without the API's token, with a temporary folder of its own.

    Raises:
        OSError: that folder has no room.
    """
    ours = {name: value for name, value in os.environ.items() if name != "REPLICATE_API_TOKEN"}
    given = {} if weights is None else {"COG_WEIGHTS": str(_linked(weights, Path(scratch)))}
    if device is not None:
        given[VISIBLE] = device
    return {**ours, "TMPDIR": scratch, **given}


def _linked(weights: Weights, scratch: Path) -> Path:
    """Give the weights the name that the training gave them: some models look at its suffix.

    Raises:
        OSError: they are gone, or there is no room for a link.
    """
    if not weights.path.is_file():
        raise FileNotFoundError(f"its weights ({weights.name}) are gone")
    link = Path(tempfile.mkdtemp(prefix="weights-", dir=scratch), weights.name)
    link.symlink_to(weights.path.absolute())
    return link


def _resolve(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Mark a failure as seen: whoever cares awaits the future."""
    if not future.cancelled():
        future.exception()


def _how(returncode: int) -> str:
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        return f"was killed by {name}"
    return f"exited with code {returncode}"
