"""Who outlives whom: nothing outlives the parent."""

import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.runner.protocol import InputFile, Load, Run, encode

Start = Callable[..., Any]

_FAMILY = """
import multiprocessing, os, signal, subprocess, sys, time
def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("forked", flush=True)
    time.sleep(600)
def predict(wait: bool) -> int:
    process = multiprocessing.get_context("fork").Process(target=stubborn)
    process.start()
    subprocess.Popen(["sh", "-c", "trap '' TERM INT HUP; echo started; sleep 600; sleep 600"])
    if wait:
        time.sleep(600)
    return process.pid
"""


def _wait_for(child: Any, *words: bytes) -> None:
    seen = b""
    while not all(word in seen for word in words):
        seen += child._read_log()


def _assert_all_are_gone(child: Any) -> None:
    """Each process of the model holds the log pipe, so its end is the end of all of them."""
    child.logs_to_the_end()
    child.wait()


@pytest.mark.parametrize("wait", [True, False])
def test_when_the_parent_is_gone_the_runner_and_all_it_started_die(load: Start, wait: bool) -> None:
    child = load(_FAMILY)
    child.send(Run("p1", {"wait": wait}))
    _wait_for(child, b"forked\n", b"started\n")
    child.let_go()
    _assert_all_are_gone(child)


def test_when_the_runner_is_killed_what_it_started_dies_with_the_lifeline(load: Start) -> None:
    child = load(_FAMILY)
    child.send(Run("p1", {"wait": True}))
    _wait_for(child, b"forked\n", b"started\n")
    os.kill(child.process.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not select.select([child.log], [], [], 0)[0], "the others live on until the lifeline is closed"
    child.let_go()
    _assert_all_are_gone(child)


def test_ordinary_signals_to_the_group_do_not_stop_the_guard(load: Start) -> None:
    child = load(_FAMILY)
    child.send(Run("p1", {"wait": True}))
    _wait_for(child, b"forked\n", b"started\n")
    for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.killpg(child.process.pid, each)
    child.let_go()
    _assert_all_are_gone(child)


def test_when_the_parent_dies_during_the_import_the_runner_dies_too(start: Start) -> None:
    child = start("import time\nprint('importing')\ntime.sleep(600)\n")
    child.send(Load("predict.py:predict", child.marker))
    _wait_for(child, b"importing\n")
    child.let_go()
    _assert_all_are_gone(child)


def test_a_runner_whose_lifeline_ends_before_it_begins_dies(start: Start) -> None:
    child = start("def predict() -> None: pass\n")
    child.let_go()
    assert child.wait() == -signal.SIGKILL


def test_when_the_control_socket_ends_the_child_exits_and_removes_the_predictions_files(
    load: Start, tmp_path: Path, gate: Path
) -> None:
    child = load(
        "import time\n"
        "from pathlib import Path\n"
        "def predict(image: Path) -> str:\n"
        "    print(image)\n"
        "    time.sleep(600)\n"
    )
    child.send_file("p1", 0, "photo.jpg", b"text")
    child.send(Run("p1", {"image": {"$ringback_file": 0}}))
    path = child._read_log().decode().strip()
    assert Path(path).read_text() == "text"
    child.socket.shutdown(socket.SHUT_RDWR)
    assert child.wait() == 0
    assert not Path(path).exists()


@pytest.mark.parametrize(
    "garbage",
    [
        struct.pack(">II", 1 << 31, 0),
        struct.pack(">II", 2, 0) + b"{]",
        struct.pack(">II", 14, 0) + b'{"type":"Odd"}',
        struct.pack(">II", 16, 0) + b'{"type":"Ready"}',
    ],
)
def test_a_frame_that_cannot_be_read_ends_the_child_with_a_word_in_the_logs(
    load: Start, garbage: bytes
) -> None:
    child = load("def predict() -> None: pass\n")
    child.socket.sendall(garbage)
    assert child.wait() == 1
    child.let_go()
    assert child.logs_to_the_end().startswith("the runner was sent something it can't read: ")


def test_an_input_file_that_cannot_be_stored_fails_the_prediction(load: Start) -> None:
    child = load(
        "import tempfile\n"
        "from typing import Optional\n"
        "from pathlib import Path\n"
        "def predict(a: Optional[Path] = None) -> str:\n"
        "    tempfile.tempdir = '/no/such/folder'\n"
        "    return 'ok'\n"
    )
    assert child.run("p1")[0] == ["ok"]
    child.socket.sendall(encode(InputFile("p2", 0, "a.txt", last=True), b"text"))
    _, _, done = child.run("p2", a={"$ringback_file": 0})
    assert (done.status, done.error) == (
        "failed",
        "an input file could not be stored: No such file or directory",
    )
    assert child.run("p3", a="data:,x")[2].error == "input 'a' could not be stored: No such file or directory"


def test_a_models_thread_that_never_ends_does_not_keep_the_child_from_exiting(load: Start) -> None:
    child = load(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=[600]).start()\n"
        "def predict() -> None: pass\n"
    )
    child.socket.shutdown(socket.SHUT_WR)
    assert child.wait() == 0
