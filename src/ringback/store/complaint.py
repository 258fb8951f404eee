"""A fault that goes on for hours, in a few lines of the log: when it begins, each minute, when it is over."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

_AGAIN_S = 60.0


class Complaint:
    """What is said about one thing that fails, perhaps a thousand times a second."""

    def __init__(self, what: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take what fails (the beginning of each line), and a clock in seconds."""
        self._what = what
        self._monotonic = monotonic
        self._since: float | None = None
        self._said = 0.0
        self._times = 0

    def failed(self, error: BaseException) -> None:
        """It has failed; may be called from any thread."""
        now = self._monotonic()
        self._times += 1
        if self._since is None:
            self._since = self._said = now
            log.error("%s: %s", self._what, error)
        elif now - self._said >= _AGAIN_S:
            self._said = now
            log.error("%s: %s (%d times in %.0f s)", self._what, error, self._times, now - self._since)

    def succeeded(self) -> None:
        """It works; says so only if it did not before."""
        if self._since is not None:
            elapsed = self._monotonic() - self._since
            log.warning("%s: works again after %d failures in %.0f s", self._what, self._times, elapsed)
            self._since, self._times = None, 0
