"""`data:` URIs (RFC 2397): files written out where a URL would stand."""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes

from msgspec import Struct

PLAIN = "text/plain"
"""The media type of a URI that names none."""


class Data(Struct, frozen=True):
    """What a URI holds."""

    content_type: str
    content: bytes


def is_data_uri(value: Any) -> bool:
    """Say whether this is meant as one."""
    return isinstance(value, str) and value[:5].lower() == "data:"


def parse(uri: str) -> Data:
    """Read one as browsers do: white space and missing padding are allowed, other characters are not.

    Raises:
        ValueError: it is malformed; says how.
    """
    head, comma, body = uri[5:].partition(",")
    if not comma:
        raise ValueError("is a malformed data: URI: it has no comma")
    content_type, *options = (part.strip().lower() for part in head.split(";"))
    content = unquote_to_bytes(body)
    if "base64" in options:
        packed = b"".join(content.split()).rstrip(b"=")
        try:
            content = base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
        except binascii.Error as error:
            raise ValueError(f"is a malformed data: URI: {error}") from error
    return Data(content_type or PLAIN, content)


def written(content_type: str, content: bytes) -> str:
    """Write one, in base64."""
    return f"data:{content_type};base64,{base64.b64encode(content).decode()}"
