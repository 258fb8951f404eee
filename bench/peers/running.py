"""The peers, running: each is a worker that POSTs, with what it stores in, and a program that enqueues."""

import base64
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import msgspec

from bench.peers.install import (
    HOME,
    NODE_MODULES,
    PLACE,
    PYTHON,
    Missing,
    environment,
    node_packages,
    python_packages,
    redis,
)
from bench.processes import ROOT, outlived_by_none

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
_CONCURRENCY = "64"
_START_S = 60.0


class Line:
    """The way into a peer: a program that enqueues what it is told, at once."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def enqueue(self, url: str, id_: str, body: dict[str, object]) -> None:
        """Have an event enqueued; the program sets the body's `output` to the seconds since the epoch."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"url": url, "id": id_, "body": body}).decode() + "\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Wait until everything is in the queue.

        Raises:
            RuntimeError: the program failed.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait(_START_S):
            raise RuntimeError(f"the enqueuing program ended with {self._process.returncode}")


Peer = Callable[[Path], AbstractContextManager[Line]]
"""Runs a peer that stores in a folder."""


@contextmanager
def celery(folder: Path) -> Iterator[Line]:
    """Run Celery's worker with threads, on Redis.

    Raises:
        Missing: it can't be installed here.
    """
    python_packages()
    with _redis(folder) as port:
        env = {"REDIS_PORT": str(port)}
        tasks = "bench.peers.celery_tasks"
        worker = [str(PYTHON), "-m", "celery", "-A", tasks, "worker", "-P", "threads", "-c", _CONCURRENCY]
        quiet = ["--loglevel=INFO", "--without-gossip", "--without-mingle"]
        with (
            _running([*worker, *quiet], folder / "worker.log", env, until=" ready."),
            _line([str(PYTHON), "-m", tasks], folder, env) as line,
        ):
            yield line


@contextmanager
def bullmq(folder: Path) -> Iterator[Line]:
    """Run BullMQ's worker, on Redis.

    Raises:
        Missing: it can't be installed here.
    """
    node_packages()
    for name in ("bullmq_worker.mjs", "bullmq_enqueue.mjs"):
        shutil.copy(HOME / name, PLACE)  # Node looks for packages beside the program
    with _redis(folder) as port:
        env = {"REDIS_PORT": str(port)}
        with (
            _running(["node", str(PLACE / "bullmq_worker.mjs")], folder / "worker.log", env, until="ready"),
            _line(["node", str(PLACE / "bullmq_enqueue.mjs")], folder, env) as line,
        ):
            yield line


@contextmanager
def restate(folder: Path) -> Iterator[Line]:
    """Run Restate's server and a service of it.

    Raises:
        Missing: it can't be installed here.
    """
    python_packages()
    node_packages()
    ingress, admin, node, service = (_free_port() for _ in range(4))
    env = {
        "INGRESS_PORT": str(ingress),
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_BIND_PORT": str(node),
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "warn",
    }
    server = [str(NODE_MODULES / ".bin" / "restate-server"), "--no-logo", "--base-dir", str(folder)]
    app = ["-m", "hypercorn", "-k", "uvloop", "--bind", f"127.0.0.1:{service}", "bench.peers.restate_app:app"]
    with (
        _running(server, folder / "server.log", env),
        _running([str(PYTHON), *app], folder / "service.log", env, until="Running on"),
    ):
        _register(admin, service)
        with _line([str(PYTHON), "-m", "bench.peers.restate_app"], folder, env) as line:
            yield line


PEERS: dict[str, Peer] = {"celery": celery, "bullmq": bullmq, "restate": restate}


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    """Run a Redis that keeps what it is given as people set it: an append-only file, synced each second."""
    port = _free_port()
    durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    command = [redis(), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), *durable]
    with _running(command, folder / "redis.log", {}, until="Ready to accept connections"):
        yield port


@contextmanager
def _running(
    command: Sequence[str], log: Path, env: dict[str, str], *, until: str = ""
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the block ends; it begins when the program's log says `until`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(env), stdout=output, stderr=output, start_new_session=True
        )
    try:
        with outlived_by_none(process.pid):
            _await(lambda: until in log.read_text(errors="replace"), process, log)
            yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def _await(done: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_S
    while not done():
        if process.poll() is not None or time.monotonic() > end:
            raise Missing(f"{process.args!r} does not start: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.05)


@contextmanager
def _line(command: Sequence[str], folder: Path, env: dict[str, str]) -> Iterator[Line]:
    with (
        (folder / "enqueue.log").open("wb") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise Missing(f"{command} does not start: {(folder / 'enqueue.log').read_text()[-500:]}")
        yield Line(process)
        assert process.stdin is not None
        process.stdin.close()


def _environment(env: dict[str, str]) -> dict[str, str]:
    return {**environment(), "BENCH_SECRET": SECRET, **env}


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _register(admin: int, service: int) -> None:
    """Tell Restate's server where the service is."""
    asked = Request(
        f"http://127.0.0.1:{admin}/deployments",
        msgspec.json.encode({"uri": f"http://127.0.0.1:{service}"}),
        {"content-type": "application/json"},
    )
    end = time.monotonic() + _START_S
    while True:
        try:
            with urlopen(asked):
                return
        except URLError as error:
            if time.monotonic() > end:
                raise Missing(f"Restate's server does not take the service: {error}") from None
            time.sleep(0.2)
