"""A synchronous stand-in for the parent: it drives the real child over a real socket, pipe and lifeline."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback.runner import command
from ringback.runner.protocol import (
    Decoder,
    Done,
    InputFile,
    Load,
    Loaded,
    Message,
    Output,
    OutputFile,
    Ready,
    Run,
    encode,
)

PATIENCE = 30  # seconds until a test that waits for the child is called failed
MARKER = "end-of-part"
PYTHON = os.environ.get("RINGBACK_TEST_MODEL_PYTHON", sys.executable)


class Child:
    """One runner and the parent's ends of everything it has."""

    marker = MARKER

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket, control = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        lifeline, self.lifeline = os.pipe()
        self.log, log = os.pipe()
        self.process = subprocess.Popen(
            command(PYTHON, control.fileno(), lifeline),
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(control.fileno(), lifeline),
            start_new_session=True,
        )
        control.close()
        os.close(lifeline)
        os.close(log)
        self._decoder = Decoder()
        self._frames: list[tuple[Message, bytes]] = []
        self._log = b""

    def send(self, *messages: Message) -> None:
        self.socket.sendall(b"".join(encode(each) for each in messages))

    def send_file(self, prediction: str, number: int, name: str, *pieces: bytes) -> None:
        for piece in pieces[:-1]:
            self.socket.sendall(encode(InputFile(prediction, number, name, last=False), piece))
        self.socket.sendall(encode(InputFile(prediction, number, name, last=True), pieces[-1]))

    def receive(self) -> tuple[Message, bytes]:
        while not self._frames:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def next(self) -> Any:
        return self.receive()[0]

    def load(self, entry: str = "predict.py:predict") -> dict[str, Any]:
        self.send(Load(entry, MARKER))
        loaded, ready = self.next(), self.next()
        assert isinstance(loaded, Loaded), loaded
        assert isinstance(ready, Ready), ready
        self.logs()
        return loaded.schema

    def run(self, prediction: str = "p1", **given: Any) -> tuple[list[Any], dict[int, bytes], Done]:
        """Run to the end; return the outputs, the files and the Done."""
        self.send(Run(prediction, given))
        return self.finish(prediction)

    def finish(self, prediction: str = "p1") -> tuple[list[Any], dict[int, bytes], Done]:
        outputs: list[Any] = []
        files: dict[int, bytes] = {}
        while True:
            message, payload = self.receive()
            assert getattr(message, "id", None) == prediction, message
            if isinstance(message, Done):
                return outputs, files, message
            if isinstance(message, OutputFile):
                files[message.file] = files.get(message.file, b"") + payload
            else:
                assert isinstance(message, Output), message
                outputs.append(message.value)

    def logs(self) -> str:
        """Return the logs up to the next mark."""
        end = f"\0{MARKER}\0".encode()
        while end not in self._log:
            piece = self._read_log()
            assert piece, f"the logs ended without a mark after {self._log!r}"
            self._log += piece
        part, _, self._log = self._log.partition(end)
        return part.decode()

    def logs_to_the_end(self) -> str:
        while piece := self._read_log():
            self._log += piece
        return self._log.decode()

    def _read_log(self) -> bytes:
        assert select.select([self.log], [], [], PATIENCE)[0], f"nothing more in the logs after {self._log!r}"
        return os.read(self.log, 1 << 16)

    def let_go(self) -> None:
        """Close the lifeline, as the parent's death would."""
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.let_go()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.socket.close()
        os.close(self.log)


def _start(folder: Path, source: str, **files: str) -> Child:
    folder.mkdir(exist_ok=True)
    for name, text in {"predict.py": source, **files}.items():
        (folder / name.replace("_py", ".py")).write_text(text)
    return Child(folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Child]]:
    """Start a child that all tests of a module share, and load `predict` from it."""
    children: list[Child] = []

    def begin(source: str, **files: str) -> Child:
        children.append(_start(tmp_path_factory.mktemp("model"), source, **files))
        children[-1].load()
        return children[-1]

    yield begin
    for child in children:
        child.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Start a child on a model folder with this predict.py (and other files by name)."""
    children: list[Child] = []

    def begin(source: str, **files: str) -> Child:
        children.append(_start(tmp_path / f"model{len(children)}", source, **files))
        return children[-1]

    yield begin
    for child in children:
        child.close()


@pytest.fixture
def load(start: Callable[..., Child]) -> Callable[..., Child]:
    """Start a child and load `predict` from it."""

    def begin(source: str, **files: str) -> Child:
        child = start(source, **files)
        child.load("predict.py:Predictor" if "class Predictor" in source else "predict.py:predict")
        return child

    return begin


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A FIFO: whoever reads it waits until the test writes to it (`write_text`), and the other way round."""

    def too_late(_number: int, _frame: object) -> None:
        raise TimeoutError("nobody came to the gate")

    path = tmp_path / "gate"
    os.mkfifo(path)
    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(PATIENCE)
    yield path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
