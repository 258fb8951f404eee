"""Does what is written into a named pipe, line by line, and ends with it."""

from collections.abc import Iterator
from pathlib import Path


class Gated:
    def run(self, gate: str) -> Iterator[str]:
        with Path(gate).open() as lines:
            for line in lines:
                text = line.rstrip("\n")
                word, _, rest = text.partition(" ")
                if word == "print":
                    print(rest, flush=True)
                elif word == "raise":
                    raise ValueError(rest)
                else:
                    yield text.encode().decode("unicode_escape")
