"""`[models."owner/name"]`: the models to serve, and how."""

from collections.abc import Iterator
from dataclasses import dataclass

from ringback.assembly.settings.reading import Rule

RERUNS = ("never", "unpublished", "always")
_HEX_DIGITS = 64
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model to serve: `[models."owner/name"]`."""

    dir: str
    """The folder with cog.yaml; relative to the configuration file."""
    python: str = ""
    """The interpreter that runs it; the server's own when empty. A path is relative to the configuration
    file."""
    version: str = ""
    """The version's id (64 hexadecimal digits); made from its sources when empty."""
    timeout_s: float = 1800.0
    """How long a prediction may run."""
    train_timeout_s: float = 86_400.0
    """How long a training may run."""
    rerun: str = "unpublished"
    """What becomes of a prediction whose server died: `never`, `unpublished` (run again if none of its output
    or logs has gone out) or `always`; run again once, a second time it fails."""
    min_replicas: int = 1
    """How many processes run it even while there is nothing to do; with 0 the first prediction starts one."""
    max_replicas: int = 1
    """How many processes run it at most: one more is started when a prediction waits and all are busy."""
    idle_s: float = 60.0
    """How long a process beyond `min_replicas` may have nothing to do before it is stopped."""
    hardware: str = "cpu"
    """The SKU that it runs on: one of `[hardware]`, or `cpu`."""


def rules(name: str, model: ModelConfig) -> Iterator[Rule]:
    """Give what must hold of a model's settings."""
    at = f'models."{name}"'
    yield "\0" not in model.dir, f"{at}.dir can't have a NUL character in it"
    yield "\0" not in model.python, f"{at}.python can't have a NUL character in it"
    yield model.timeout_s > 0, f"{at}.timeout_s must be above 0"
    yield model.train_timeout_s > 0, f"{at}.train_timeout_s must be above 0"
    yield model.rerun in RERUNS, f"{at}.rerun must be one of {', '.join(RERUNS)}"
    yield model.min_replicas >= 0, f"{at}.min_replicas must not be negative"
    yield 0 < model.max_replicas <= _MOST, f"{at}.max_replicas must be above 0 and at most {_MOST:,}"
    yield (
        model.min_replicas <= model.max_replicas,
        f"{at}.max_replicas must not be below {at}.min_replicas",
    )
    yield model.idle_s >= 0, f"{at}.idle_s must not be negative"
    yield _is_version(model.version), f"{at}.version must be 64 hexadecimal digits"


def _is_version(text: str) -> bool:
    return not text or (len(text) == _HEX_DIGITS and set(text) <= set("0123456789abcdef"))
