"""Signing a webhook and verifying one: Standard Webhooks 1.0.0, symmetric ("v1"). No I/O, no clock.

Standard library only: whoever receives needs no more. The asymmetric form ("v1a") is made in ed25519.py.

A secret is `whsec_` and base64; the key is what the base64 stands for. What is signed is
`<webhook-id>.<webhook-timestamp>.<body>`. For each live secret the header has two entries: the standard's,
and one keyed with the secret's whole text, for handlers that use REPLICATE_WEBHOOK_SECRET as it is. Every
verifier tries each entry, so one request satisfies both kinds, and both secrets during a rotation.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Protocol

_PREFIX = "whsec_"
_SYMMETRIC = "v1"
ASYMMETRIC = "v1a"
"""What an entry made with a private key begins with, before its comma."""
_SECRET_BYTES = 32
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class VerificationError(Exception):
    """The request is not proven to come from who holds the secret; the message says which check failed."""


class Signer(Protocol):
    """A private key (ed25519.SigningKey)."""

    def sign(self, content: bytes) -> bytes:
        """Give the signature over `content`."""


def new_secret(entropy: Callable[[int], bytes]) -> str:
    """Make a secret from 32 bytes of `entropy`.

    Standard padded base64, never the URL-safe one: the official clients split the secret at `_`.
    """
    return _PREFIX + base64.b64encode(entropy(_SECRET_BYTES)).decode()


def sign(
    secrets: Sequence[str], webhook_id: str, timestamp: int, body: bytes, keys: Sequence[Signer] = ()
) -> str:
    """Give the `webhook-signature` header: two entries for each secret, then one for each private key.

    In order, with single spaces. `timestamp` is in whole seconds since the epoch; it must be the
    `webhook-timestamp` header's.

    Raises:
        ValueError: a secret is not `whsec_` and base64.
    """
    content = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
    entries = [f"{_SYMMETRIC},{_mac(keyed, content)}" for secret in secrets for keyed in _keyed(secret)]
    entries += [f"{ASYMMETRIC},{_base64(key.sign(content))}" for key in keys]
    return " ".join(entries)


def verify(
    secret: str,
    webhook_id: str | None,
    timestamp: str | None,
    body: bytes,
    signature: str | None,
    *,
    now: float,
    tolerance_s: float = 300,
) -> None:
    """Return if the request is authentic and recent; the headers are given as received, None if missing.

    Only the standard's own entries are accepted. `now` is in seconds since the epoch; the default tolerance,
    to both sides, is the five minutes of the Standard Webhooks libraries.

    Raises:
        VerificationError: whatever is wrong, a malformed secret or header included.
    """
    content = signed_content(webhook_id, timestamp, body, signature, now=now, tolerance_s=tolerance_s)
    try:
        expected = _mac(_keyed(secret)[0], content).encode()
    except ValueError as error:
        raise VerificationError(f"the secret is malformed: {error}") from None
    # Every entry is compared, so that the time taken does not tell which one matched.
    if not sum(hmac.compare_digest(expected, entry) for entry in entries_of(signature, _SYMMETRIC)):
        raise VerificationError("no entry of webhook-signature is made with this secret over this request")


def signed_content(
    webhook_id: str | None,
    timestamp: str | None,
    body: bytes,
    signature: str | None,
    *,
    now: float,
    tolerance_s: float,
) -> bytes:
    """Give what a request that is recent must have been signed over; for both forms of signature.

    Raises:
        VerificationError: a header is missing or malformed, or the timestamp is more than `tolerance_s`
            seconds away from `now`.
    """
    if not webhook_id or not timestamp or not signature:
        raise VerificationError("webhook-id, webhook-timestamp or webhook-signature is missing")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise VerificationError("webhook-timestamp is not a whole number of seconds")
    if not abs(now - int(timestamp)) <= tolerance_s:  # this way round, a NaN is refused too
        raise VerificationError(f"webhook-timestamp is more than {tolerance_s} s away from the clock here")
    try:
        return b"%b.%b.%b" % (webhook_id.encode(), timestamp.encode(), body)
    except UnicodeEncodeError:
        raise VerificationError("webhook-id is malformed") from None


def entries_of(signature: str | None, form: str) -> Iterator[bytes]:
    """Give the entries of a `webhook-signature` header that are of a form, without their beginning."""
    for entry in (signature or "").split(" "):
        version, comma, value = entry.partition(",")
        if comma and version == form:
            yield value.encode(errors="replace")


def _mac(keyed: hmac.HMAC, content: bytes) -> str:
    mac = keyed.copy()
    mac.update(content)
    return _base64(mac.digest())


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


@lru_cache(maxsize=256)
def _keyed(secret: str) -> tuple[hmac.HMAC, hmac.HMAC]:
    """Give the secret's two MACs before any content: the decoded key's, then the whole text's."""
    return hmac.new(_key(secret), digestmod=hashlib.sha256), hmac.new(
        secret.encode(), digestmod=hashlib.sha256
    )


def _key(secret: str) -> bytes:
    """Decode the key. Missing padding is allowed, as the official clients allow it."""
    encoded = secret.removeprefix(_PREFIX)
    if not encoded or encoded == secret:
        raise ValueError("a secret is whsec_ followed by base64")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        # The message must not show the secret, nor binascii's guess about it.
        raise ValueError("a secret is whsec_ followed by base64") from None
