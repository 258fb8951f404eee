"""Identifiers: what they look like, how they are made, what order they tell.

A prediction's id is a ULID in lower case: 26 characters of Crockford's base32, the form Replicate's own
ids have (github.com/ulid/spec). It sorts by creation, so that a list needs no second index.
A delivery's id, sent as `webhook-id`, is `evt_<prediction id>_<number>`: it is signed, so a receiver can
tell from it which of two events of a prediction is the newer one.
"""

import hashlib
import re
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
LOWEST_ID, HIGHEST_ID = "0" * 26, "z" * 26
"""No prediction has these; all are between them."""

PREDICTION_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
_EVENT_ID = re.compile(r"evt_([0-9a-hjkmnp-tv-z]{26})_([1-9][0-9]*)")

Entropy = Callable[[int], bytes]
"""Gives n random bytes (`os.urandom` in production)."""


class PredictionIds:
    """Makes prediction ids that sort strictly in the order they were made by this process."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._last_ms = -1
        self._last_random = 0

    def make(self, now_us: int) -> str:
        """Give a new id for a prediction created at `now_us` (microseconds since the epoch)."""
        ms = now_us // 1000
        if ms <= self._last_ms and self._last_random < (1 << _RANDOM_BITS) - (1 << 33):
            # Same millisecond, or a clock that stepped back: stay above the last one, still unguessable.
            ms = self._last_ms
            self._last_random += 1 + int.from_bytes(self._entropy(4), "big")
        else:
            self._last_random = int.from_bytes(self._entropy(_RANDOM_BITS // 8), "big") >> 1
        self._last_ms = ms
        return _base32((ms << _RANDOM_BITS) | self._last_random)


def _base32(number: int) -> str:
    digits = [""] * 26
    for place in range(25, -1, -1):
        digits[place] = _ALPHABET[number & 31]
        number >>= 5
    return "".join(digits)


def earliest_id(us: int) -> str:
    """Give the lowest id of a prediction created at `us` (microseconds since the epoch) or later."""
    return _base32(us // 1000 << _RANDOM_BITS)


def delivery_id(prediction_id: str, number: int) -> str:
    """Give the id of the `number`th event (from 1) of a prediction."""
    return f"evt_{prediction_id}_{number}"


def parse_delivery_id(text: str) -> tuple[str, int]:
    """Split a delivery's id into the prediction's id and the event's number.

    Raises:
        ValueError: it is not the id of a delivery.
    """
    match = _EVENT_ID.fullmatch(text)
    if match is None:
        raise ValueError(f"not a delivery id: {text!r}")
    return match[1], int(match[2])


def unguessable(entropy: Entropy, size: int = 20) -> str:
    """Give `size` random bytes as lower-case base32-like text, for capability URLs and holder names."""
    return "".join(_ALPHABET[byte & 31] for byte in entropy(size * 8 // 5))


def digest(secret: str) -> str:
    """Give the hex SHA-256 of a high-entropy secret (an API token), for storing it without keeping it."""
    return hashlib.sha256(secret.encode()).hexdigest()
