"""A straight line: the one that a training has fitted, or y = x."""

import json
from pathlib import Path


class Predictor:
    def setup(self, weights: Path | None = None) -> None:
        fitted = {"slope": 1.0, "intercept": 0.0} if weights is None else json.loads(weights.read_text())
        self.slope, self.intercept = fitted["slope"], fitted["intercept"]

    def run(self, x: float) -> float:
        return self.slope * x + self.intercept
