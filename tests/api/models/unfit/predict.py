"""Wants a word that matches what only Python can match."""

from typing import Any


class FieldInfo:
    """What Cog's Input() makes, as far as it is looked at."""

    def __init__(self, regex: str) -> None:
        self.default = ...
        self.regex = regex


def matching(regex: str) -> Any:
    return FieldInfo(regex)


def run(word: str = matching(r"(a)?(?(1)b|c)")) -> str:
    return word
