"""Gives files back: what it was given, in capitals."""

import tempfile
from pathlib import Path


def run(document: Path, copies: int = 1, name: str = "out.txt") -> list[Path]:
    folder = Path(tempfile.mkdtemp())
    text = document.read_text().upper()
    made = []
    for number in range(copies):
        path = folder / f"{number}-{name}"
        path.write_text(text)
        made.append(path)
    return made
