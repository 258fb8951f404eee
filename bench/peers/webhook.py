"""What the Python peers send: a signed POST, as Standard Webhooks 1.0.0 says."""

import base64
import hashlib
import hmac
import json
import os
import time

TIMEOUT_S = 15.0
CONNECT_S = 5.0
RETRIES = 12
"""After the first attempt, with waits from 5 s on that double."""
_KEY = base64.b64decode(os.environ.get("BENCH_SECRET", "").removeprefix("whsec_"))


def text_of(body: dict[str, object]) -> bytes:
    """Give a body's bytes."""
    return json.dumps(body, separators=(",", ":")).encode()


def headers(id_: str, body: bytes) -> dict[str, str]:
    """Give the headers of an attempt that is made now."""
    timestamp = str(int(time.time()))
    signed = hmac.new(_KEY, b"%b.%b.%b" % (id_.encode(), timestamp.encode(), body), hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(signed.digest()).decode(),
    }
