"""Where the files that people send are kept, for how long, and up to which size."""

from dataclasses import dataclass

from ringback.blobs.store import Blobs
from ringback.rules.retry import SECOND


@dataclass(frozen=True, slots=True)
class Uploads:
    """How files are kept.

    Attributes:
        blobs: where their bytes are.
        key: signs download URLs.
        limit: bytes of a file.
        keep_s: how long one is kept after it came, seconds.
    """

    blobs: Blobs
    key: bytes
    limit: int
    keep_s: float

    @property
    def keep_us(self) -> int:
        """The same, microseconds."""
        return int(self.keep_s * SECOND)
