"""Running a command on a data folder, as its operator does: without a token."""

import asyncio
import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from ringback.assembly.cli import main
from support.server import COMMAND


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that a failed command must say."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("ringback: ")
        return line.removeprefix("ringback: ")


async def run(*arguments: str, data: Path) -> Ran:
    """Run a command to its end in a thread, since a process takes a second to load."""
    return await asyncio.to_thread(_run, arguments, data)


def _run(arguments: tuple[str, ...], data: Path) -> Ran:
    kept, argv = os.environ.get("RINGBACK_DATA"), sys.argv
    out, err = io.StringIO(), io.StringIO()
    try:
        os.environ["RINGBACK_DATA"] = str(data)
        sys.argv = ["ringback", *arguments]
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
            main()
    finally:
        sys.argv = argv
        del os.environ["RINGBACK_DATA"]
        if kept is not None:
            os.environ["RINGBACK_DATA"] = kept
    return Ran(int(caught.value.code or 0), out.getvalue(), err.getvalue())


async def run_process(*arguments: str, data: Path) -> Ran:
    """Run a command as a script does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REPLICATE")}
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env={**environment, "RINGBACK_DATA": str(data)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())
