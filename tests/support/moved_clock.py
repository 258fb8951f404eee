"""A real server whose wall clock the test moves; run as a program, this file is that server."""

import mmap
import os
import sys
import time
from pathlib import Path

_FILE = "RINGBACK_TEST_CLOCK"


class MovedClock:
    """How far the server's clock is ahead of ours, in a file that both have in memory.

    Give `command` and `env` to support.server.serving.
    """

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(8))
        self.command = [sys.executable, __file__]
        self.env = {_FILE: str(path)}
        self._ahead = _shared(path)

    def wait(self, seconds: float) -> None:
        """Let the server believe that so much time has passed."""
        self._ahead[0] += int(seconds * 1_000_000)


def _shared(path: Path) -> memoryview:
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8)).cast("q")


def main() -> None:
    from ringback.assembly import cli  # noqa: PLC0415 - the test's own process needs none of it
    from ringback.assembly.clock import boot_us  # noqa: PLC0415
    from ringback.assembly.world import World  # noqa: PLC0415

    ahead = _shared(Path(os.environ[_FILE]))
    cli.main(
        World(
            clock=lambda: time.time_ns() // 1000 + ahead[0],
            boot=lambda: boot_us() + ahead[0],  # the time really passes: this is no step of the wall clock
            token=os.environ.get("REPLICATE_API_TOKEN"),
        )
    )


if __name__ == "__main__":
    main()
