"""The processes of a measurement: the server as it ships, the receiver, the driver; none shares a loop."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.receiver import Report

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".bench"
MODELS = ROOT / "bench" / "models"
TOKEN = "r8_bench_token_of_this_measurement_00000000"
SERVER = (sys.executable, "-m", "ringback.assembly")
_START_S = 30.0
_STOP_S = 60.0
FAULTS = (" INFO ", " WARNING ")
"""What a server may say of receivers that fail on purpose."""
_COMPLAINTS = 5
"""Lines of the server's log that are shown when it complains."""


@contextmanager
def data_folder() -> Iterator[Path]:
    """Give a new folder on the disk to be measured; it is removed afterwards."""
    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=DATA))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def module(name: str, *arguments: str) -> list[str]:
    """Give the command that runs a module of the bench."""
    return [sys.executable, "-m", f"bench.{name}", *arguments]


def result_of(command: Sequence[str], kind: type[T]) -> T:
    """Run a command to its end; give what it printed, as `kind`.

    Raises:
        subprocess.CalledProcessError: it failed; what it said is on standard error.
    """
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=kind)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        ready_at: when it said that it listens, seconds since the epoch.
    """

    process: subprocess.Popen[bytes]
    port: int
    ready_at: float

    def get(self, path: str) -> dict[str, Any]:
        """GET something of the API."""
        return self._call(path, None)

    def create(self, body: bytes) -> dict[str, Any]:
        """Create a prediction."""
        return self._call("/v1/predictions", body)

    def _call(self, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        with urllib.request.urlopen(asked) as answer:
            found: dict[str, Any] = msgspec.json.decode(answer.read())
            return found

    def until(self, id_: str, status: str) -> None:
        """Poll until a prediction has this status.

        Raises:
            TimeoutError: it does not get there.
        """
        end = time.monotonic() + _START_S
        while self.get(f"/v1/predictions/{id_}")["status"] != status:
            if time.monotonic() > end:
                raise TimeoutError(f"prediction {id_} is not {status} after {_START_S} s")

    def secret(self) -> str:
        """Give the secret it signs with."""
        return str(self.get("/v1/webhooks/default/secret")["key"])

    def processor_s(self) -> float:
        """Give the processor time it has used, seconds; its models' processes are not in it."""
        try:
            columns = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return float("nan")  # only Linux tells
        return (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Give its memory in use (RSS), MB; its models' processes are not in it."""
        return self._memory_mb("VmRSS")

    def peak_mb(self) -> float:
        """Give the most it had in use since `forget_peak`, MB."""
        return self._memory_mb("VmHWM")

    def forget_peak(self) -> None:
        """Begin to watch its memory anew."""
        with suppress(OSError):  # only Linux has it
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _memory_mb(self, what: str) -> float:
        try:
            told = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return float("nan")  # only Linux tells
        return int(told.partition(f"{what}:")[2].split()[0]) * 1024 / 1e6

    def pause(self) -> None:
        """Have it take no processor time; its models' processes go on, but have nothing to do."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Let it drain and end.

        Raises:
            RuntimeError: it did not end by itself.
        """
        os.killpg(self.process.pid, signal.SIGTERM)
        if self.process.wait(_STOP_S):
            raise RuntimeError(f"the server ended with {self.process.returncode}")

    def kill(self) -> None:
        """End it as a power cut would, as far as a process can tell."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(_STOP_S)


@contextmanager
def serving(
    command: Sequence[str], data: Path, *models: str, mute: tuple[str, ...] = (" INFO ",)
) -> Iterator[Server]:
    """Run a server with these of the bench's models and nothing else said, until the block ends.

    Lines of its log with one of `mute` in them are not shown.
    """
    named = [f"bench/{name}={MODELS / name}" for name in models]
    path = data.parent / f"{data.name}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [*command, "serve", *named, "--data", str(data), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "REPLICATE_API_TOKEN": TOKEN},
            cwd=ROOT,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        with outlived_by_none(process.pid):
            line = process.stdout.readline().decode()
            ready_at = time.time()
            if not line.startswith("ringback is listening on "):
                raise RuntimeError(line + path.read_text())
            yield Server(process, int(line.rpartition(":")[2]), ready_at)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
        _complain(path, mute)


@contextmanager
def outlived_by_none(group: int) -> Iterator[None]:
    """Have a process group killed if this process is: a server left over spoils what is measured next."""
    watch = (
        f"cat > /dev/null; kill -s KILL -- -{group}"  # standard input ends with whoever holds its other end
    )
    with subprocess.Popen(["sh", "-c", watch], stdin=subprocess.PIPE, start_new_session=True) as guard:
        try:
            yield
        finally:
            guard.kill()


def _complain(path: Path, mute: tuple[str, ...]) -> None:
    lines = [line for line in path.read_text().splitlines() if not any(word in line for word in mute)]
    for line in lines[:_COMPLAINTS]:
        print(f"  server: {line}", file=sys.stderr)
    if len(lines) > _COMPLAINTS:
        print(f"  server: … and {len(lines) - _COMPLAINTS} more such lines", file=sys.stderr)


class Receiver:
    """A running receiver."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.origin = f"http://127.0.0.1:{int(self._answer())}"
        self.url = f"{self.origin}/hook"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _tell(self, *words: object) -> str:
        assert self._process.stdin is not None
        print(*words, file=self._process.stdin, flush=True)
        return self._answer()

    def until(self, count: int, seconds: float) -> int:
        """Wait until it has `count` requests, at most `seconds`; give how many it has."""
        return int(self._tell("await", count, seconds))

    def held(self, count: int, seconds: float) -> int:
        """Wait until it has left `count` requests without an answer, at most `seconds`; give how many."""
        return int(self._tell("held", count, seconds))

    def answer(self, after_ms: float) -> None:
        """Have it answer after so long from now on; below 0, not at all."""
        self._tell("answer", after_ms)

    def come_back(self, at: float, answering_ms: float) -> float:
        """At a moment (seconds since the epoch) have it listen and answer after so long; give when it did."""
        self.answer(answering_ms)
        time.sleep(max(0.0, at - time.time()))
        self._tell("up")
        return time.time()

    def report(self, secret: str) -> Report:
        """Give everything it received, verified, and let it begin anew."""
        return msgspec.json.decode(self._tell("report", secret), type=Report)


@contextmanager
def receiving(*, down: bool = False) -> Iterator[Receiver]:
    """Run a receiver until the block ends; if `down`, nobody can connect until it is told to come up."""
    with subprocess.Popen(
        module("receiver", *(["down"] if down else [])),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Receiver(process)
        assert process.stdin is not None
        process.stdin.close()
