"""Says it back."""

# ruff: noqa: ARG001 - inputs such as a real model has


def run(prompt: str, seed: int = 0, aspect_ratio: str = "1:1", num_outputs: int = 1) -> str:
    return prompt
