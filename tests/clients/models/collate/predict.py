"""Puts files together into one."""

import tempfile
from pathlib import Path


def run(cover: Path, pages: list[Path], name: str = "book.txt") -> Path:
    book = Path(tempfile.mkdtemp()) / name
    book.write_bytes(b"|".join(page.read_bytes() for page in [cover, *pages]))
    return book
