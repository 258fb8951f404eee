"""The URLs of files that people have sent: made, recognised, signed.

`…/files/{id}` is what the clients put into an input. Nobody can fetch it without a token, so the server has
to see by itself that it is one of its own, by whatever name it was reached: by path and id, not by host.

`…/files/{id}/download?owner&expiry&signature` needs no token. The signature is an HMAC-SHA256 of
"{owner} {id} {expiry}" (replicate.com/docs/reference/http#files.download).
"""

import base64
import hashlib
import hmac
import re
from typing import Any
from urllib.parse import urlencode, urlsplit

_PATH = re.compile(r"(.*)/files/([0-9a-hjkmnp-tv-z]{26})(?:/download)?")
_EXPIRY = re.compile(r"[0-9]{1,12}")


def metadata_url(base: str, id_: str) -> str:
    """Give a file's `urls.get`."""
    return f"{base}/v1/files/{id_}"


def download_url(base: str, key: bytes, owner: str, id_: str, expiry: int) -> str:
    """Give a URL that serves a file to whoever has it until `expiry`, seconds since the epoch."""
    query = {"owner": owner, "expiry": expiry, "signature": signature(key, owner, id_, str(expiry))}
    return f"{metadata_url(base, id_)}/download?{urlencode(query)}"


def signature(key: bytes, owner: str, id_: str, expiry: str) -> str:
    """Sign for a download: base64 with the URL's alphabet, without padding."""
    mac = hmac.new(key, f"{owner} {id_} {expiry}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def may_download(key: bytes, owner: str, id_: str, expiry: str, signed: str, now: int) -> bool:
    """Say whether a download's query is one of ours and holds at `now`, microseconds since the epoch."""
    wanted = signature(key, owner, id_, expiry).encode()
    if not hmac.compare_digest(wanted, signed.encode("utf-8", "surrogatepass")):
        return False
    return _EXPIRY.fullmatch(expiry) is not None and now < int(expiry) * 1_000_000


def file_id(url: Any) -> str | None:
    """Give the id of the file that a URL may name, or None: whether there is such a file is not said."""
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return None
    try:
        match = _PATH.fullmatch(urlsplit(url).path)
    except ValueError:
        return None
    return None if match is None else match[2]


def is_below(url: str, base: str) -> bool:
    """Say whether a URL is surely one of the server that is reached at `base`."""
    return url.startswith(f"{base}/")
