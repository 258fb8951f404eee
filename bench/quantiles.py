"""Quantiles."""

import math
from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """Give the smallest of `values` that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
