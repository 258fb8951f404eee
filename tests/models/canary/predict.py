"""What Replicate's own clients try themselves on: replicate/canary."""

from collections.abc import Iterator


def run(text: str) -> Iterator[str]:
    yield "hello "
    yield "there, "
    yield text
