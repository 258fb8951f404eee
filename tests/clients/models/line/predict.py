"""Where a line is at x; its slope was learned, or is 1."""

import json
from pathlib import Path


class Line:
    def setup(self, weights: Path | None = None) -> None:
        self.slope = json.loads(weights.read_text())["slope"] if weights else 1.0

    def run(self, x: float) -> float:
        return float(self.slope * x)
