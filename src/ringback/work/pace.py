"""How a version is run: where, for how long, and how many predictions are held ahead."""

from dataclasses import dataclass
from pathlib import Path

_AHEAD_S = 0.05
_AHEAD_MAX = 64


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """How a version is run.

    Attributes:
        python: the interpreter.
        folder: the model's folder.
        entry: file.py:Class.
        timeout_s: how long a prediction may run.
        cancel_grace_s: how long a predictor may take to stop when told to, before it is killed.
        rerun: what becomes of a begun prediction that is handed back: never, unpublished or always.
    """

    python: str
    folder: Path
    entry: str
    timeout_s: float = 1800.0
    cancel_grace_s: float = 5.0
    rerun: str = "unpublished"


def ahead(average_s: float | None) -> int:
    """Say how many predictions to hold at a time, given how long one takes on average (seconds).

    One for a slow model, so that others can take the rest; for a quick one as many as start within 50 ms.
    """
    if average_s is None:
        return 1
    return max(1, min(_AHEAD_MAX, int(_AHEAD_S / max(average_s, 1e-6))))
