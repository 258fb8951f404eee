import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.runner.protocol import Cancel, Output, Run

Load = Callable[..., Any]

_WAITS = {
    "a Python loop": "    while True: pass\n",
    "time.sleep": "    time.sleep(600)\n",
    "a lock": "    threading.Lock().acquire() and (lock := threading.Lock()).acquire() and lock.acquire()\n",
    "a read from a pipe": "    os.read(os.pipe()[0], 1)\n",
    "asyncio.run": "    asyncio.run(waits())\n",
    "a subprocess": "    subprocess.run(['sleep', '600'])\n",
}


def _last_line(child: Any, line: bytes) -> None:
    """Wait until the model has written `line`, which is the last thing it does before it waits."""
    seen = b""
    while line not in seen:
        seen += child._read_log()


@pytest.mark.parametrize("where", sorted(_WAITS))
def test_synchronous_code_is_interrupted_wherever_it_waits(load: Load, where: str) -> None:
    child = load(
        "import asyncio, os, subprocess, threading, time\n"
        "async def waits():\n"
        "    await asyncio.sleep(600)\n"
        "def predict(wait: bool) -> str:\n"
        "    if not wait: return 'next'\n"
        "    print('waiting')\n"
        f"{_WAITS[where]}"
    )
    child.send(Run("p1", {"wait": True}))
    _last_line(child, b"waiting\n")
    child.send(Cancel("p1"))
    outputs, _, done = child.finish()
    assert (outputs, done.status, done.error) == ([], "canceled", None)
    child.logs()
    assert child.run("p2", wait=False)[0] == ["next"]


@pytest.mark.parametrize(
    "wait",
    [
        "await asyncio.sleep(600)",
        "await asyncio.gather(asyncio.sleep(600), asyncio.Event().wait())",
        "await asyncio.Event().wait()",
    ],
)
def test_asynchronous_code_is_interrupted_and_cleans_up(load: Load, wait: str) -> None:
    child = load(
        "import asyncio\n"
        "async def predict(wait: bool) -> str:\n"
        "    if not wait: return 'next'\n"
        "    try:\n"
        "        print('waiting')\n"
        f"        {wait}\n"
        "    finally:\n"
        "        await asyncio.sleep(0)\n"
        "        print('cleaned up')\n"
    )
    child.send(Run("p1", {"wait": True}))
    _last_line(child, b"waiting\n")
    child.send(Cancel("p1"))
    outputs, _, done = child.finish()
    assert (outputs, done.status, done.error) == ([], "canceled", None)
    assert child.logs() == "cleaned up\n"
    assert child.run("p2", wait=False)[0] == ["next"]


_STREAMS = {
    "generator": ("def", "yield 1; print('waiting'); time.sleep(600)"),
    "async generator": ("async def", "yield 1; print('waiting'); await asyncio.sleep(600)"),
    "generator that never waits": ("def", "while True: yield 1; print('waiting')"),
    "async generator that never waits": ("async def", "while True: yield 1; print('waiting')"),
}


@pytest.mark.parametrize("kind", sorted(_STREAMS))
def test_a_stream_is_interrupted_and_what_was_yielded_stays(load: Load, kind: str) -> None:
    how, body = _STREAMS[kind]
    child = load(
        "import asyncio, time\n"
        f"{how} predict():\n"
        "    try:\n"
        f"        {body}\n"
        "    finally:\n"
        "        print('cleaned up')\n"
    )
    child.send(Run("p1", {}))
    assert child.next() == Output("p1", 1, append=True)
    _last_line(child, b"waiting\n")
    child.send(Cancel("p1"))
    outputs, _, done = child.finish()
    assert set(outputs) <= {1}
    assert (done.status, done.error) == ("canceled", None)
    assert child.logs().endswith("cleaned up\n")


@pytest.mark.parametrize(
    ("how", "wait", "swallow"),
    [
        ("def", "time.sleep(600)", "BaseException"),
        ("async def", "await asyncio.sleep(600)", "asyncio.CancelledError"),
    ],
)
def test_a_model_that_swallows_the_interruption_is_canceled_all_the_same(
    load: Load, how: str, wait: str, swallow: str
) -> None:
    child = load(
        "import asyncio, time\n"
        f"{how} predict() -> str:\n"
        "    try:\n"
        "        print('waiting')\n"
        f"        {wait}\n"
        f"    except {swallow} as error:\n"
        "        print('swallowed', type(error).__name__)\n"
        "    return 'swallowed'\n"
    )
    child.send(Run("p1", {}))
    _last_line(child, b"waiting\n")
    child.send(Cancel("p1"))
    outputs, _, done = child.finish()
    assert (outputs, done.status, done.error) == ([], "canceled", None)
    assert child.logs().startswith("swallowed Cancel")


def test_a_model_may_ignore_exceptions_but_not_by_accident(load: Load) -> None:
    child = load(
        "import time\n"
        "def predict() -> str:\n"
        "    print('waiting')\n"
        "    while True:\n"
        "        try: time.sleep(600)\n"
        "        except Exception: print('caught')\n"
    )
    child.send(Run("p1", {}))
    _last_line(child, b"waiting\n")
    child.send(Cancel("p1"))
    assert child.finish()[2].status == "canceled"
    assert child.logs() == ""


def test_the_models_own_cancelation_exception_is_raised_if_it_has_one(load: Load) -> None:
    child = load(
        "import time, cog\n"
        "def predict() -> str:\n"
        "    try:\n"
        "        print('waiting')\n"
        "        time.sleep(600)\n"
        "    except cog.CancelationException:\n"
        "        print('clean')\n"
        "        raise\n",
        cog_py="class CancelationException(BaseException): pass\n",
    )
    child.send(Run("p1", {}))
    _last_line(child, b"waiting\n")
    child.send(Cancel("p1"))
    assert child.finish()[2].status == "canceled"
    assert child.logs() == "clean\n"


def test_an_error_while_it_stops_is_in_the_logs_and_it_is_canceled(load: Load) -> None:
    child = load(
        "import time\n"
        "def predict() -> str:\n"
        "    try:\n"
        "        print('waiting')\n"
        "        time.sleep(600)\n"
        "    finally: raise ValueError('while stopping')\n"
    )
    child.send(Run("p1", {}))
    _last_line(child, b"waiting\n")
    child.send(Cancel("p1"))
    done = child.finish()[2]
    assert (done.status, done.error) == ("canceled", None)
    assert child.logs().endswith("ValueError: while stopping\n")


@pytest.mark.parametrize("how", ["def", "async def"])
def test_a_cancel_that_comes_with_the_run_keeps_the_model_from_starting(
    load: Load, how: str, gate: Path
) -> None:
    child = load(f"{how} predict(gate: str) -> str:\n    print('started')\n    return open(gate).read()\n")
    child.send(Run("p1", {"gate": str(gate)}), Run("p2", {"gate": str(gate)}), Cancel("p2"))
    gate.write_text("first")
    assert child.finish("p1")[0] == ["first"]
    assert child.logs() == "started\n"
    assert child.finish("p2")[2].status == "canceled"
    assert child.logs() == ""


@pytest.mark.parametrize("how", ["def", "async def"])
def test_cancels_at_any_moment_never_hurt_the_child_or_the_next_prediction(load: Load, how: str) -> None:
    child = load(f"{how} predict(n: int):\n    for each in range(n):\n        yield each\n")
    ends = set()
    for number in range(300):
        child.send(Run(f"a{number}", {"n": number % 40}))
        for _ in range(number % 7 * (number % 40) // 6):
            assert isinstance(child.next(), Output)
        child.send(Cancel(f"a{number}"), Cancel(f"a{number}"), Run(f"b{number}", {"n": 3}))
        ends.add(child.finish(f"a{number}")[2].status)
        outputs, _, done = child.finish(f"b{number}")
        assert (outputs, done.status) == ([0, 1, 2], "succeeded")
    assert ends <= {"canceled", "succeeded"}
    assert "canceled" in ends


def test_a_canceled_model_does_not_get_to_wait_for_what_it_returns(load: Load) -> None:
    child = load(
        "import asyncio, time\n"
        "def predict() -> str:\n"
        "    try:\n"
        "        print('waiting')\n"
        "        time.sleep(600)\n"
        "    except BaseException:\n"
        "        return asyncio.sleep(600)\n"
    )
    child.send(Run("p1", {}))
    _last_line(child, b"waiting\n")
    child.send(Cancel("p1"))
    assert child.finish()[2].status == "canceled"


def test_a_signal_that_is_not_a_cancel_does_not_interrupt(load: Load, gate: Path) -> None:
    child = load("def predict(gate: str) -> str:\n    print('waiting')\n    return open(gate).read()\n")
    child.send(Run("p1", {"gate": str(gate)}))
    _last_line(child, b"waiting\n")
    os.kill(child.process.pid, signal.SIGUSR1)
    gate.write_text("undisturbed")
    assert child.finish()[0] == ["undisturbed"]


def test_a_signal_outside_of_a_run_does_nothing(load: Load) -> None:

    child = load("def predict(n: int) -> int:\n    return n\n")
    for number in range(100):
        assert child.run(f"p{number}", n=number)[0] == [number]
        child.send(Cancel(f"p{number}"))
        for each in (signal.SIGUSR1, signal.SIGINT, signal.SIGUSR1):
            os.kill(child.process.pid, each)
