"""Restate: a durable handler that POSTs with httpx. Run it as a program to enqueue."""

import functools
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import httpx  # type: ignore[import-not-found,unused-ignore]  # in the peers' own environment
import restate  # type: ignore[import-not-found,unused-ignore]

from bench.peers.webhook import CONNECT_S, RETRIES, TIMEOUT_S, headers, text_of

_ENQUEUING = 16
"""Requests to the ingress at a time."""
_RETRY = restate.RunOptions(
    max_attempts=RETRIES + 1, initial_retry_interval=timedelta(seconds=5), retry_interval_factor=2.0
)
service = restate.Service("Hooks")


@functools.cache
def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_S), limits=httpx.Limits(max_connections=256)
    )


@service.handler()  # type: ignore[untyped-decorator,unused-ignore]
async def deliver(ctx: restate.Context, job: dict[str, Any]) -> int:
    """Send one, as a step that is repeated until it succeeds."""

    async def post() -> int:
        text = text_of(job["body"])
        answer = await _client().post(job["url"], content=text, headers=headers(job["id"], text))
        return int(answer.raise_for_status().status_code)

    return int(await ctx.run_typed("post", post, _RETRY))


app = restate.app(services=[service])


def main() -> None:
    """Enqueue what stands on standard input, a line each, at once."""
    kept = threading.local()  # a connection for each thread; httpx would take a sixth of a core for this

    def send(job: dict[str, Any]) -> None:
        if not hasattr(kept, "connection"):
            kept.connection = HTTPConnection("127.0.0.1", int(os.environ["INGRESS_PORT"]), timeout=30)
        headers = {"content-type": "application/json", "idempotency-key": job["id"]}
        kept.connection.request("POST", "/Hooks/deliver/send", json.dumps(job), headers)
        answer = kept.connection.getresponse()
        answer.read()
        if answer.status not in {200, 202}:
            raise RuntimeError(f"the ingress answered {answer.status}")

    with ThreadPoolExecutor(_ENQUEUING) as pool:
        print("ready", flush=True)
        sent = []
        for line in sys.stdin:
            job = json.loads(line)
            job["body"]["output"] = time.time()
            sent.append(pool.submit(send, job))
        for each in sent:
            each.result()


if __name__ == "__main__":
    main()
