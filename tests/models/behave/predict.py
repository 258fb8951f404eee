"""Does what it is told to, as badly as models do."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import Any


class Behave:
    def run(self, mode: str, size: int = 0) -> Any:
        return getattr(self, mode)(size)

    def dies(self, _size: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def raises(self, _size: int) -> None:
        print("before it fails")
        raise ValueError("no such luck")

    def hangs(self, _size: int) -> None:
        print("hanging", flush=True)
        time.sleep(3600)

    def insists(self, _size: int) -> str:
        print("insisting", flush=True)
        while True:
            with contextlib.suppress(BaseException):
                time.sleep(3600)

    def nan(self, _size: int) -> float:
        return float("nan")

    def deep(self, size: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(size):
            value = [value]
        return value

    def prints(self, size: int) -> str:
        os.write(1, b"\xff\x00binary\n")
        subprocess.run([sys.executable, "-c", "print('from a grandchild')"], check=True)
        for _ in range(size):
            print("x" * 999)
        return "printed"

    def secret(self, _size: int) -> str:
        return os.environ.get("REPLICATE_API_TOKEN", "not here")

    def surrogate(self, _size: int) -> str:
        return "a\ud800b"

    def pid(self, _size: int) -> int:
        return os.getpid()
