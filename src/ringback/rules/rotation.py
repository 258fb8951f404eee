"""How keys follow each other: which ones sign, and which request to rotate is another one's repetition."""

from collections.abc import Sequence

from msgspec import Struct

from ringback.rules.retry import SECOND

AGAIN = 60 * SECOND
"""Microseconds within which a request to rotate is taken for a repetition of the one before."""


class Age(Struct, frozen=True):
    """When a secret or a key pair came and when it goes; never its value.

    Attributes:
        id: a secret's own id, or the public key's thumbprint.
        created_at: microseconds since the epoch.
        expires_at: when it stops signing, microseconds; None for the current one.
    """

    id: str
    created_at: int
    expires_at: int | None


def signing(ages: Sequence[Age], now: int, limit: int) -> frozenset[str]:
    """Say which sign at `now` (microseconds): of those that have not expired the first `limit`.

    Args:
        ages: the current one first, then the others, the newest first.
        now: microseconds since the epoch.
        limit: how many sign at most.
    """
    live = [age.id for age in ages if age.expires_at is None or age.expires_at > now]
    return frozenset(live[:limit])


def is_repeated(ages: Sequence[Age], now: int) -> bool:
    """Say whether a request to rotate comes so soon after a rotation that it is meant to be the same one.

    A client whose answer got lost asks again, and each rotation brings the oldest key nearer to its end: a
    few repetitions would stop the one that all receivers still check with. What was made with the account
    or at the first start is no rotation. A clock that stepped back must not forbid rotations until it has
    caught up, so the distance counts to both sides.

    Args:
        ages: the current one first, then the others.
        now: microseconds since the epoch.
    """
    return len(ages) > 1 and abs(now - ages[0].created_at) < AGAIN
