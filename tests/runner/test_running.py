"""Streaming, exceptions, and what a model may do to the process it runs in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.runner.protocol import Done, Output, Run, Shutdown

Load = Callable[..., Any]

_GATED = {
    "generator": (
        "def predict(gate: str) -> 'typing.Iterator[str]':\n"
        "    for _ in range(3):\n"
        "        yield open(gate).read()\n"
        "    print('cleaned up')\n"
        "import typing\n"
    ),
    "async generator": (
        "import asyncio\n"
        "async def predict(gate: str):\n"
        "    for _ in range(3):\n"
        "        yield await asyncio.to_thread(lambda: open(gate).read())\n"
        "    print('cleaned up')\n"
    ),
    "method that is an async generator": (
        "import asyncio\n"
        "class Predictor:\n"
        "    async def setup(self):\n"
        "        self.loop = asyncio.get_running_loop()\n"
        "    async def run(self, gate: str):\n"
        "        assert asyncio.get_running_loop() is self.loop\n"
        "        for _ in range(3):\n"
        "            yield await asyncio.to_thread(lambda: open(gate).read())\n"
        "        print('cleaned up')\n"
    ),
    "iterator": (
        "def predict(gate: str) -> object:\n"
        "    return (open(gate).read() for _ in range(3))\n"
        "predict.__annotations__.pop('return')\n"
    ),
    "coroutine that returns a generator": (
        "async def predict(gate: str):\n    return (open(gate).read() for _ in range(3))\n"
    ),
}


@pytest.mark.parametrize("kind", sorted(_GATED))
def test_each_item_is_sent_before_the_next_one_is_made(load: Load, gate: Path, kind: str) -> None:
    child = load(_GATED[kind])
    child.send(Run("p1", {"gate": str(gate)}))
    for word in ("a", "b", "c"):
        gate.write_text(word)  # waits until the model is here, which is after it yielded the last word
        assert child.next() == Output("p1", word, append=True)
    done = child.next()
    assert isinstance(done, Done)
    assert (done.status, done.error) == ("succeeded", None)
    assert child.logs() == ("cleaned up\n" if "cleaned" in _GATED[kind] else "")


def test_a_list_is_one_value_and_not_a_stream(load: Load) -> None:
    child = load("def predict() -> list[str]:\n    return ['a', 'b']\n")
    child.send(Run("p1", {}))
    assert child.next() == Output("p1", ["a", "b"], append=False)


def test_an_async_value_arrives(load: Load) -> None:
    child = load(
        "import asyncio\nasync def predict(a: int) -> int:\n    await asyncio.sleep(0)\n    return a + 1\n"
    )
    assert [child.run(a=each)[0] for each in range(3)] == [[1], [2], [3]]


def test_files_may_be_yielded_one_by_one(load: Load) -> None:
    child = load(
        "import pathlib\n"
        "def predict():\n"
        "    for each in 'ab':\n"
        "        pathlib.Path('frame.txt').write_text(each)\n"
        "        yield pathlib.Path('frame.txt')\n"
    )
    outputs, files, _ = child.run()
    assert outputs == [{"$ringback_file": 0}, {"$ringback_file": 1}]
    assert files == {0: b"a", 1: b"b"}


@pytest.mark.parametrize("how", ["", "async "])
def test_an_exception_after_some_items_fails_and_keeps_them(load: Load, how: str) -> None:
    child = load(f"{how}def predict():\n    yield 1\n    raise RuntimeError('out of memory')\n")
    outputs, _, done = child.run()
    assert (outputs, done.status, done.error) == ([1], "failed", "out of memory")


@pytest.mark.parametrize("how", ["", "async "])
def test_an_item_that_cannot_be_sent_ends_the_generator_which_cleans_up(load: Load, how: str) -> None:
    child = load(
        f"{how}def predict():\n"
        "    try:\n"
        "        yield float('nan')\n"
        "    finally:\n"
        "        print('cleaned up')\n"
    )
    outputs, _, done = child.run()
    assert (outputs, done.error) == ([], "output contains NaN, which JSON can't carry")
    assert child.logs() == "cleaned up\n"


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("raise ValueError('boom\\nand more')", "boom\nand more"),
        ("raise ValueError", "ValueError"),
        ("raise KeyError('k')", "'k'"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit('odd')", "odd"),
        ("import sys; sys.exit(3)", "the model called sys.exit(3)"),
        ("import sys; sys.exit()", "the model called sys.exit()"),
        ("import sys; sys.exit('bad')", "the model called sys.exit('bad')"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
        ("raise Mute", "Mute"),
    ],
)
@pytest.mark.parametrize("how", ["def", "async def"])
def test_an_exception_fails_the_prediction_and_the_child_lives_on(
    load: Load, how: str, statement: str, error: str
) -> None:
    child = load(
        "class Mute(Exception):\n"
        "    def __str__(self): raise RuntimeError('no words')\n"
        f"{how} predict(wrong: bool) -> str:\n"
        "    if wrong:\n"
        f"        {statement}\n"
        "    return 'well'\n"
    )
    outputs, _, done = child.run(wrong=True)
    assert (outputs, done.status, done.error) == ([], "failed", error)
    logs = child.logs()
    assert logs.startswith("Traceback (most recent call last):\n")
    assert logs.count("File ") == 1
    assert 'predict.py", line 5, in predict\n' in logs
    assert child.run("p2", wrong=False)[0] == ["well"]


def test_a_sys_exit_in_a_task_of_its_own_does_not_end_the_child(load: Load) -> None:
    child = load(
        "import asyncio, sys\n"
        "async def leave():\n"
        "    sys.exit(4)\n"
        "async def predict(wrong: bool) -> str:\n"
        "    if wrong:\n"
        "        task = asyncio.create_task(leave())\n"
        "        await asyncio.Event().wait()\n"
        "    return 'well'\n"
    )
    assert child.run(wrong=True)[2].error == "the model called sys.exit(4)"
    assert child.run("p2", wrong=False)[0] == ["well"]


def test_a_very_long_error_is_cut(load: Load) -> None:
    child = load("def predict() -> str:\n    raise ValueError('x' * 20_000_000)\n")
    child.send(Run("p1", {}))
    reader = child.process  # the log pipe has to be emptied, or the child waits
    while b"\0" not in child._log:
        child._log = child._read_log()[-20:]
    assert reader.poll() is None
    assert len(child.finish()[2].error) == 65536


def test_a_fork_that_returns_from_the_model_does_not_answer_twice(load: Load) -> None:
    child = load(
        "import os\n"
        "def predict() -> str:\n"
        "    pid = os.fork()\n"
        "    if pid: os.waitpid(pid, 0)\n"
        "    return 'parent' if pid else 'copy'\n"
    )
    outputs, _, _ = child.run()
    assert outputs == ["parent"]
    assert child.logs() == ""
    assert child.run("p2")[0] == ["parent"]


def test_a_model_that_waits_for_all_its_children_does_not_wait_for_the_guard(load: Load) -> None:
    child = load(
        "import os\n"
        "def predict() -> str:\n"
        "    try:\n"
        "        os.wait()\n"
        "    except ChildProcessError:\n"
        "        return 'no children'\n"
    )
    assert child.run()[0] == ["no children"]


def test_what_the_model_starts_has_ordinary_signals_and_no_descriptor_of_the_runner(load: Load) -> None:
    child = load(
        "import subprocess, sys\n"
        "LOOK = '''import os, signal\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler,\n"
        "      signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,\n"
        "      [each for each in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + each)\n"
        "       and os.readlink('/proc/self/fd/' + each).startswith('socket')])'''\n"
        "def predict() -> str:\n"
        "    command = [sys.executable, '-c', LOOK]\n"
        "    return subprocess.run(command, stdout=-1, text=True, close_fds=False).stdout\n"
    )
    assert child.run()[0] == ["True True []\n"]


def test_predictions_after_each_other_share_the_model(load: Load) -> None:
    child = load("calls = []\ndef predict(a: int) -> int:\n    calls.append(a)\n    return len(calls)\n")
    assert [child.run(f"p{each}", a=each)[0] for each in range(5)] == [[1], [2], [3], [4], [5]]
    child.send(Shutdown())
    assert child.wait() == 0
