from collections.abc import Callable
from typing import Any

import pytest

from ringback.runner.protocol import Run

Load = Callable[..., Any]


def test_everything_written_to_the_descriptors_is_cut_exactly_at_each_end(load: Load) -> None:
    child = load(
        "import ctypes, os, subprocess, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "def predict(n: int) -> None:\n"
        "    print('out', n, end=' ')\n"
        "    sys.stdout.flush()\n"
        "    print('err', n, file=sys.stderr)\n"
        "    os.write(1, b'raw %d\\n' % n)\n"
        "    subprocess.run(['echo', f'child {n}'])\n"
        "    libc.printf(b'C %d', n)\n"
        "    print(' unfinished', n, end='')\n"
    )
    for number in range(3):
        child.run(n=number)
        logs = child.logs()
        assert logs.startswith(f"out {number} err {number}\nraw {number}\nchild {number}\n")
        # Two buffers flushed at the end: nothing is said about the order of what was in them.
        assert sorted(logs.splitlines()[3]) == sorted(f"C {number} unfinished {number}")


def test_the_mark_comes_before_the_done(load: Load) -> None:
    child = load("def predict() -> None:\n    print('x' * 10)\n")
    child.run()
    child.let_go()
    child.wait()
    assert child.logs_to_the_end() == "x" * 10 + "\n\0end-of-part\0"


@pytest.mark.parametrize(
    "mischief",
    [
        "sys.stdout.close()",
        "sys.stdout.close(); sys.stderr.close()",
        "sys.stdout = None",
        "sys.stdout = sys.stderr = io.StringIO()",
        "sys.stdout = Broken()",
        "os.close(1)",
        "os.set_blocking(1, False)",
        "null = os.open(os.devnull, os.O_WRONLY); os.dup2(null, 1); os.dup2(null, 2)",
        "os.close(1); os.open(os.devnull, os.O_WRONLY)",
    ],
)
def test_whatever_a_model_does_to_its_streams_the_mark_is_written(load: Load, mischief: str) -> None:
    child = load(
        "import io, os, sys\n"
        "class Broken:\n"
        "    def flush(self): raise RuntimeError('no')\n"
        "def predict(wrong: bool) -> str:\n"
        "    print('before')\n"
        f"    {mischief}\n"
        "    if wrong: raise ValueError('told anyway')\n"
        "    return 'fine'\n"
    )
    outputs, _, _ = child.run(wrong=False)
    assert outputs == ["fine"]
    assert child.logs() == "before\n"


def test_the_traceback_reaches_the_logs_when_the_streams_are_gone(load: Load) -> None:
    child = load(
        "import sys\ndef predict() -> str:\n    sys.stderr.close()\n    raise ValueError('told anyway')\n"
    )
    child.run()
    assert child.logs().endswith("ValueError: told anyway\n")


def test_the_traceback_and_the_mark_reach_the_logs_when_the_descriptors_lead_elsewhere(load: Load) -> None:
    child = load(
        "import os\n"
        "null = os.open(os.devnull, os.O_WRONLY)\n"
        "os.dup2(null, 1)\n"
        "os.dup2(null, 2)\n"
        "def predict() -> str:\n"
        "    raise ValueError('told anyway')\n"
    )
    child.run()
    assert child.logs().endswith("ValueError: told anyway\n")


def test_what_a_model_starts_gets_the_pipe_as_its_standard_streams_only(load: Load) -> None:
    child = load(
        "import os\n"
        "def is_pipe(descriptor):\n"
        "    try:\n"
        "        return os.path.sameopenfile(descriptor, 1)\n"
        "    except OSError:\n"
        "        return False\n"
        "def predict() -> list[int]:\n"
        "    return [each for each in range(64) if is_pipe(each) and os.get_inheritable(each)]\n"
    )
    assert child.run()[0] == [[1, 2]]


def test_text_that_is_not_utf_8_is_escaped(load: Load) -> None:
    child = load("def predict() -> None:\n    print('caf\\u00e9 \\ud800')\n")
    assert child.run()[2].status == "succeeded"
    assert child.logs() == "café \\ud800\n"


def test_a_line_is_in_the_logs_while_the_model_still_runs(load: Load, gate: Any) -> None:
    child = load(
        "import ctypes\n"
        "def predict(gate: str) -> str:\n"
        "    print('started')\n"
        "    ctypes.CDLL(None).puts(b'from C')\n"
        "    return open(gate).read()\n"
    )
    child.send(Run("p1", {"gate": str(gate)}))
    seen = b""
    while seen != b"started\nfrom C\n":
        seen += child._read_log()
    gate.write_text("go on")
    assert child.finish()[0] == ["go on"]
