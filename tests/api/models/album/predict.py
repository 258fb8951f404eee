"""Counts the bytes of each of its pages."""

from pathlib import Path


def run(pages: list[Path]) -> list[int]:
    return [page.stat().st_size for page in pages]
