"""One prediction inside the child: what it was given, where its files are, and whether it was canceled."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

_NAME_LIMIT = 200  # bytes; file systems stop at 255, and a model may add to the name


class Job:
    """One prediction. The reader thread makes it and cancels it; the main thread runs it.

    The two need no lock: one writes `canceled` and then reads `interrupt`, the other writes `interrupt` and
    then reads `canceled`, so that at least one of them sees the other.

    Attributes:
        id: the prediction's id; never used as a path.
        input: its input, once the Run has come.
        files: the received input files by number.
        trouble: why an input file could not be stored, if so.
        canceled: whether a Cancel has come; it never goes back to False.
        interrupt: what makes the running code notice, while there is such code.
    """

    def __init__(self, prediction_id: str) -> None:
        self.id = prediction_id
        self.input: dict[str, Any] = {}
        self.files: dict[int, pathlib.Path] = {}
        self.trouble: str | None = None
        self.canceled = False
        self.interrupt: Callable[[], object] | None = None
        self._folder: pathlib.Path | None = None
        self._places = 0

    def cancel(self) -> None:
        """Note the Cancel and interrupt the code that runs, if any."""
        self.canceled = True
        interrupt = self.interrupt
        if interrupt is not None:
            interrupt()

    def place(self, name: str) -> pathlib.Path:
        """Return a new path in the prediction's own folder, ending in a harmless form of `name`.

        Raises:
            OSError: the folder can't be made.
        """
        if self._folder is None:
            self._folder = pathlib.Path(tempfile.mkdtemp(prefix="ringback-"))
        self._places += 1
        folder = self._folder / str(self._places)
        folder.mkdir()
        return folder / harmless(name)

    def store(self, number: int, name: str, piece: bytes) -> None:
        """Append `piece` to input file `number`; a failure is kept in `trouble` for the run to tell."""
        try:
            if number not in self.files:
                self.files[number] = self.place(name)
            with self.files[number].open("ab") as file:
                file.write(piece)
        except OSError as error:
            self.trouble = f"an input file could not be stored: {error.strerror or error}"

    def discard(self) -> None:
        """Remove the prediction's folder with all that is in it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def harmless(name: str) -> str:
    """Return the last part of `name`, cut to what a file system takes; it can't lead out of a folder."""
    base = name.replace("\\", "/").rpartition("/")[2]
    base = "".join(each for each in base if each.isprintable())  # no control characters, no lone surrogates
    if base in {"", ".", ".."}:
        return "file"
    stem, extension = os.path.splitext(base)  # noqa: PTH122 - Path.suffix would look at the dots differently per Python
    extension = _cut(extension, 20)
    return _cut(stem, _NAME_LIMIT - len(extension.encode())) + extension


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode("utf-8", "ignore")
