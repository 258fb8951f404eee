"""`[limits]`: how often each token may ask."""

from collections.abc import Iterator
from dataclasses import dataclass

from ringback.assembly.settings.reading import Rule


@dataclass(frozen=True, slots=True)
class LimitConfig:
    """`[limits]`."""

    creates_per_min: int = 0
    """Predictions and trainings that a token may make in a minute; 0 is no limit."""
    requests_per_min: int = 0
    """Other requests that a token may make in a minute; 0 is no limit."""


def rules(limits: LimitConfig) -> Iterator[Rule]:
    """Give what must hold of the section."""
    yield limits.creates_per_min >= 0, "limits.creates_per_min must not be negative"
    yield limits.requests_per_min >= 0, "limits.requests_per_min must not be negative"
