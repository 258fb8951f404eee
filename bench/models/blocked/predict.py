"""Never ends and uses no processor: what is created after its first prediction stays in the queue."""

# ruff: noqa: ARG001 - inputs such as a real model has

import time


def run(prompt: str, seed: int = 0, aspect_ratio: str = "1:1", num_outputs: int = 1) -> str:
    while True:
        time.sleep(3600)
