"""How a version is run: where, by how many, for how long, and how many predictions are held ahead."""

from dataclasses import dataclass
from pathlib import Path

from ringback.work.host import Weights

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
        mode: what its runs are: predict or train.
        weights: what a training made for this version, if one did.
    """

    python: str
    folder: Path
    entry: str
    timeout_s: float = 1800.0
    cancel_grace_s: float = 5.0
    rerun: str = "unpublished"
    mode: str = "predict"
    weights: Weights | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """How many replicas a pool has.

    Attributes:
        least: that many are always there; with 0 the first prediction that waits starts one.
        most: no more than that; at least 1.
        idle_s: how long one beyond the least may have nothing to do before it is stopped.
        hardware: the SKU whose devices they run on.
    """

    least: int = 1
    most: int = 1
    idle_s: float = 60.0
    hardware: str = "cpu"

    @property
    def alone(self) -> bool:
        """Whether a replica never has siblings."""
        return self.most == 1


def ahead(average_s: float | None, *, alone: bool = True) -> int:
    """Say how many predictions to hold at a time, given how long one takes on average (seconds).

    One for a slow model, so that others can take the rest; for a quick one as many as start within 50 ms.
    With siblings always one: what is held behind a run that takes unusually long is lost to an idle one.
    """
    if average_s is None or not alone:
        return 1
    return max(1, min(_AHEAD_MAX, int(_AHEAD_S / max(average_s, 1e-6))))
