"""Celery with Redis and httpx: a task that retries with backoff and jitter. Run it as a program to enqueue.

`acks_late` is on: with the default a killed worker loses what it held.
"""

import functools
import json
import os
import sys
import time

import httpx  # type: ignore[import-not-found,unused-ignore]  # in the peers' own environment
from celery import Celery  # type: ignore[import-not-found,unused-ignore]

from bench.peers.webhook import CONNECT_S, RETRIES, TIMEOUT_S, headers, text_of

app = Celery("bench", broker=f"redis://127.0.0.1:{os.environ['REDIS_PORT']}/0")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_connection_retry_on_startup=True,
)


@functools.cache
def _client() -> httpx.Client:
    return httpx.Client(timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_S))


def _post(url: str, id_: str, body: dict[str, object]) -> None:
    text = text_of(body)
    _client().post(url, content=text, headers=headers(id_, text)).raise_for_status()


deliver = app.task(
    name="deliver",
    autoretry_for=(httpx.HTTPError,),
    retry_backoff=5,
    retry_backoff_max=36000,
    retry_jitter=True,
    max_retries=RETRIES,
)(_post)


def main() -> None:
    """Enqueue what stands on standard input, a line each, at once."""
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        job["body"]["output"] = time.time()
        deliver.delay(job["url"], job["id"], job["body"])


if __name__ == "__main__":
    main()
