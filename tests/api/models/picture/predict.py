"""Draws nothing, but minds its inputs as an image model does."""

from pathlib import Path
from typing import Any, Literal


class FieldInfo:
    """What Cog's Input() makes, as far as it is looked at."""

    def __init__(self, default: Any, **limits: Any) -> None:
        self.default = default
        vars(self).update(limits)


def limited(default: Any, **limits: Any) -> Any:
    return FieldInfo(default, **limits)


def run(
    prompt: str,
    num_inference_steps: int = limited(4, ge=1, le=4),
    size: Literal["small", "large"] = "small",
    guidance: float | None = limited(None, ge=0.5),
    image: Path | None = None,
    tags: list[str] | None = None,
) -> str:
    return prompt
