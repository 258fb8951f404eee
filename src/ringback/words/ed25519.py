"""Signatures that anybody can check: Standard Webhooks 1.0.0, asymmetric ("v1a", ed25519). No I/O, no clock.

A private key is `whsk_` and the base64 of its 32 bytes and the public key's 32, the form in which Svix writes
it; a public one is `whpk_` and the base64 of 32 bytes. What is signed is the same as with secrets
(signature.py). As a JSON Web Key (RFC 8037) a public key is named by its thumbprint (RFC 7638).
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ringback.words.ids import Entropy
from ringback.words.signature import ASYMMETRIC, VerificationError, entries_of, signed_content

_PRIVATE = "whsk_"
_PUBLIC = "whpk_"
_SIZE = 32  # bytes of either half


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair, ready to sign. Its repr shows the public half alone.

    Attributes:
        kid: the public key's thumbprint.
        public: the public key, `whpk_` and base64.
    """

    kid: str
    public: str
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    def sign(self, content: bytes) -> bytes:
        """Give the 64 bytes of the signature over `content`."""
        return self._private.sign(content)

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 8037, section 2)."""
        return {**_members(_decoded(self.public, _PUBLIC)), "kid": self.kid, "use": "sig", "alg": "EdDSA"}


def new_key(entropy: Entropy) -> str:
    """Make a private key, `whsk_` and base64, from 32 bytes of `entropy`."""
    private = entropy(_SIZE)
    public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return _PRIVATE + base64.b64encode(private + public).decode()


def signing_key(text: str) -> SigningKey:
    """Read a private key. It takes as long as two signatures: keep what it gives.

    Raises:
        ValueError: it is not `whsk_` and the base64 of a private key and the public key that belongs to it.
    """
    data = _decoded(text, _PRIVATE)
    private = Ed25519PrivateKey.from_private_bytes(data[:_SIZE])
    public = private.public_key().public_bytes_raw()
    if data[_SIZE:] != public:
        raise ValueError("the two halves of the private key do not belong together")
    return SigningKey(thumbprint(public), _PUBLIC + base64.b64encode(public).decode(), private)


def thumbprint(public: bytes) -> str:
    """Name a public key by what it is (RFC 7638; RFC 8037, appendix A.3)."""
    canonical = json.dumps(_members(public), sort_keys=True, separators=(",", ":")).encode()
    return _url_safe(hashlib.sha256(canonical).digest())


def verify(
    public: Sequence[str],
    webhook_id: str | None,
    timestamp: str | None,
    body: bytes,
    signature: str | None,
    *,
    now: float,
    tolerance_s: float = 300,
) -> None:
    """Return if the request is recent and signed with the private half of one of the `public` keys.

    The headers are given as received, None if missing. `now` is in seconds since the epoch; the default
    tolerance, to both sides, is the five minutes of the Standard Webhooks libraries.

    Raises:
        VerificationError: whatever is wrong, a malformed key or header included.
    """
    content = signed_content(webhook_id, timestamp, body, signature, now=now, tolerance_s=tolerance_s)
    try:
        keys = [Ed25519PublicKey.from_public_bytes(_decoded(text, _PUBLIC)) for text in public]
    except ValueError as error:
        raise VerificationError(f"the public key is malformed: {error}") from None
    entries = list(entries_of(signature, ASYMMETRIC))
    if not any(_matches(key, entry, content) for key in keys for entry in entries):
        raise VerificationError("no entry of webhook-signature is made with these keys over this request")


def _matches(key: Ed25519PublicKey, entry: bytes, content: bytes) -> bool:
    try:
        key.verify(base64.b64decode(entry, validate=True), content)
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _members(public: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": _url_safe(public)}


def _url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str, prefix: str) -> bytes:
    size = 2 * _SIZE if prefix == _PRIVATE else _SIZE
    try:
        data = base64.b64decode(text.removeprefix(prefix), validate=True)
    except ValueError:
        data = b""  # and no word of what was wrong with it: that would tell a part of the key
    if not text.startswith(prefix) or len(data) != size:
        raise ValueError(f"a key is {prefix} followed by the base64 of {size} bytes")
    return data
