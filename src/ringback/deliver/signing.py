"""The headers that every webhook has: what it is, which one it is, and that it comes from here."""

from collections.abc import Sequence

from ringback import __version__
from ringback.rules.retry import SECOND
from ringback.words.signature import Signer, sign


def signed(
    id_: str, body: bytes, wall: int, secrets: Sequence[str], keys: Sequence[Signer]
) -> dict[str, str]:
    """Give the headers of an attempt, signed.

    Args:
        id_: the same on each attempt.
        body: the bytes as they are sent.
        wall: the wall clock, microseconds: receivers compare it with theirs.
        secrets: the secrets that sign.
        keys: the private keys that sign beside them, if v1a is asked for.
    """
    timestamp = wall // SECOND
    return {
        "content-type": "application/json",
        "user-agent": f"ringback/{__version__}",
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, id_, timestamp, body, keys),
    }
