"""What a dispatcher tells whoever counts."""

from typing import Protocol

from ringback.rules.attempt import Result
from ringback.rules.lane import End
from ringback.store.attempts import Work


class Observer(Protocol):
    """Somebody who counts attempts. Called once for each, so it must be quick, and must not raise."""

    def attempted(self, work: Work, result: Result, end: End | None, latency_us: int | None) -> None:
        """An attempt has been made and recorded.

        Args:
            work: the attempt.
            result: what it came to.
            end: what became of its delivery, or None when it stays pending.
            latency_us: of a `completed` that is acknowledged: from the prediction's end to the
                acknowledgement, microseconds.
        """


class Nobody:
    """Counts nothing."""

    def attempted(self, work: Work, result: Result, end: End | None, latency_us: int | None) -> None:
        """See Observer."""


NOBODY: Observer = Nobody()
