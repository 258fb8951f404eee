"""Fits a line through the origin."""

import json
import tempfile
import time
from pathlib import Path


def train(points: str, pause: float = 0.0) -> Path:
    """Learn the slope by least squares from "x,y x,y ...", after a pause."""
    pairs = [tuple(map(float, pair.split(","))) for pair in points.split()]
    print(f"{len(pairs)} points", flush=True)
    time.sleep(pause)
    slope = sum(x * y for x, y in pairs) / sum(x * x for x, _ in pairs)
    weights = Path(tempfile.mkdtemp()) / "weights.json"
    weights.write_text(json.dumps({"slope": slope}))
    return weights
