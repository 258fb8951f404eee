"""Fits a line to points, by gradient descent from where an earlier training ended."""

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Fitted:
    weights: Path
    loss: float


def train(points: Path, steps: int = 300, rate: float = 0.2, gate: int = 0, quiet: bool = False) -> Fitted:
    if gate:
        with socket.create_connection(("127.0.0.1", gate)) as opened:
            opened.recv(1)
    pairs = [tuple(map(float, line.split(","))) for line in points.read_text().splitlines()]
    if not pairs:
        raise ValueError("no points: expected lines of x,y")
    slope, intercept = _start()
    for _ in range(steps):
        errors = [(slope * x + intercept - y, x) for x, y in pairs]
        slope -= rate * sum(error * x for error, x in errors) / len(pairs)
        intercept -= rate * sum(error for error, _ in errors) / len(pairs)
    loss = sum((slope * x + intercept - y) ** 2 for x, y in pairs) / len(pairs)
    if not quiet:
        print(f"fitted {len(pairs)} points in {steps} steps")
    weights = Path(os.environ["TMPDIR"], "line.json")
    weights.write_text(json.dumps({"slope": slope, "intercept": intercept}))
    return Fitted(weights, loss)


def _start() -> tuple[float, float]:
    trained = os.environ.get("COG_WEIGHTS")
    before = {"slope": 0.0, "intercept": 0.0} if trained is None else json.loads(Path(trained).read_text())
    return before["slope"], before["intercept"]
