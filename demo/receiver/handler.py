"""handler.mjs and serve.mjs in Python, for where there is no Node: the same handler, the same lines.

Tells on standard output, one JSON object a line, where it listens and then each request; see serve.mjs.

    REPLICATE_WEBHOOK_SECRET=whsec_... python handler.py [--port N] [--stay]
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

saved: dict[str, Any] = {}
flagged: dict[str, Any] = {}


def handle(headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
    """Do what handler.mjs does: the secret's whole text is the key, and the header must contain the digest.

    In new code, use the replicate client's Webhooks.validate: it decodes the key and compares whole entries.
    """
    signature = headers["webhook-signature"]
    timestamp = headers["webhook-timestamp"]
    id_ = headers["webhook-id"]

    key = os.environ["REPLICATE_WEBHOOK_SECRET"].encode()
    content = f"{id_}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()

    if expected not in signature:
        return 401, {"error": "invalid signature"}

    prediction = json.loads(body)
    if prediction["status"] == "succeeded":
        saved[prediction["id"]] = prediction["output"]
    else:
        flagged[prediction["id"]] = prediction["error"]
    return 200, {"ok": True}


_failed: set[str | None] = set()
_one_line_at_a_time = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Hands requests to `handle` and tells of them."""

    protocol_version = "HTTP/1.1"  # keeps the connection, as Node does
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer a webhook."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        at = time.time() * 1000
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self._answer(headers, body)
        tell(
            at=at,
            method=self.command,
            path=self.path,
            headers=headers,
            body=body.decode(errors="replace"),
            status=status,
            answer=answer,
            saved=saved,
            flagged=flagged,
            verdicts={},
        )
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _answer(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        id_ = headers.get("webhook-id")
        if parse_qs(urlsplit(self.path).query).get("fail") == ["once"] and id_ not in _failed:
            _failed.add(id_)
            return 503, {"error": "not ready yet"}
        try:
            return handle(headers, body)
        except Exception as error:  # as web frameworks do it: what a handler raises is a 500
            print(repr(error), file=sys.stderr)
            return 500, {"error": "internal server error"}

    def log_message(self, *_: object) -> None:
        """Print nothing: `tell` has told."""


def tell(**line: Any) -> None:
    """Print a line of JSON."""
    with _one_line_at_a_time:
        print(json.dumps(line, separators=(",", ":")), flush=True)


def main() -> None:
    """Serve on 127.0.0.1 until standard input ends."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--stay", action="store_true", help="don't end with standard input")
    given = options.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", given.port), Handler)
    tell(port=server.server_port)
    if not given.stay:
        threading.Thread(target=end_with_stdin, args=[server], daemon=True).start()
    server.serve_forever()


def end_with_stdin(server: ThreadingHTTPServer) -> None:
    """Wait for the end of standard input, then end `server`: it can't outlive whoever started it."""
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
