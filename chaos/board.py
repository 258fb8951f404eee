"""What a server is doing, in a small file mapped into its memory: it can be read after kill -9, too.

Each number is written by one thread, in one store of four bytes.
"""

import mmap
import struct
from dataclasses import dataclass, fields
from pathlib import Path

STAGES = ("starting", "opening", "loading", "recovering", "serving")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was on the board.

    Attributes:
        stage: how far it was, a place in STAGES.
        pending: changes asked for and not committed.
        committing: changes in the COMMIT that was under way.
        posting: attempts whose POST was under way.
        unrecorded: attempts that had been answered, or had failed, and whose outcome was not committed.
        failing: of the changes in the open transaction, outcomes of failed attempts.
        rotating: of them, rotations of the secret.
        resending: of them, resends.
    """

    stage: int
    pending: int
    committing: int
    posting: int
    unrecorded: int
    failing: int
    rotating: int
    resending: int

    @property
    def in_flight(self) -> int:
        """Attempts begun and not recorded."""
        return self.posting + self.unrecorded

    @property
    def hits_both(self) -> bool:
        """Whether an attempt was in flight and the commit of a change pending."""
        return self.in_flight > 0 and self.pending > 0

    def __str__(self) -> str:
        """Say it in words."""
        parts = [
            f"{self.posting:2} attempts in flight, {self.unrecorded:2} not recorded",
            f"{self.pending:2} changes pending, {self.committing:2} in their commit",
        ]
        inner = ("failing", "rotating", "resending")
        parts += [f"{name} {count}" for name in inner if (count := getattr(self, name))]
        return f"{STAGES[self.stage]:10}  {', '.join(parts)}"


_FORMAT = struct.Struct(f"={len(fields(Seen))}I")
_PLACES = {field.name: place * 4 for place, field in enumerate(fields(Seen))}


class Board:
    """The file, open for writing."""

    def __init__(self, path: Path) -> None:
        """Open it; it is there (`wiped`)."""
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _FORMAT.size)

    def set(self, name: str, value: int) -> None:
        """Write a number."""
        place = _PLACES[name]
        self._map[place : place + 4] = struct.pack("=I", value)

    def add(self, name: str, amount: int) -> None:
        """Change a number; only its own thread may."""
        place = _PLACES[name]
        (value,) = struct.unpack_from("=I", self._map, place)
        self.set(name, max(0, value + amount))


def wiped(path: Path) -> Path:
    """Make the file, or empty it."""
    path.write_bytes(bytes(_FORMAT.size))
    return path


def read(path: Path) -> Seen:
    """Give what is on the board."""
    return Seen(*_FORMAT.unpack(path.read_bytes()))
