"""`[files]` and `[inputs]`: the files that people send, and those that inputs name by URL."""

from collections.abc import Iterator
from dataclasses import dataclass

from ringback.assembly.settings.reading import Rule


@dataclass(frozen=True, slots=True)
class FilesConfig:
    """`[files]`: what people send to /files."""

    limit: int = 100_000_000
    """Bytes of a file."""
    keep_s: float = 86400.0
    """How long a file is kept; one that a prediction needs stays until that has run, for a week at most."""


@dataclass(frozen=True, slots=True)
class InputsConfig:
    """`[inputs]`: files that are given as inputs by an http(s) URL."""

    limit: int = 100_000_000
    """Bytes of a file."""
    timeout_s: float = 60.0
    """How long fetching one may take."""


def rules(files: FilesConfig, inputs: InputsConfig) -> Iterator[Rule]:
    """Give what must hold of both sections."""
    yield files.limit > 0, "files.limit must be above 0"
    yield files.keep_s > 0, "files.keep_s must be above 0"
    yield inputs.limit > 0, "inputs.limit must be above 0"
    yield inputs.timeout_s > 0, "inputs.timeout_s must be above 0"
