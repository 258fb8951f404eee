"""The bare limit: signed POSTs of the burst's bodies through the same sender, with no store behind them."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator

import msgspec
import uvloop

from bench.owed import body
from ringback import __version__
from ringback.assembly.config import WebhookConfig
from ringback.deliver.egress import Egress, EgressSettings
from ringback.rules.address import AddressRules
from ringback.words.ids import PredictionIds, delivery_id
from ringback.words.signature import sign


async def post_all(url: str, secret: str, count: int) -> list[str]:
    """POST `count` bodies with as many in flight as a server has for one origin; give the predictions' ids.

    Raises:
        RuntimeError: one was not acknowledged.
    """
    made, now = PredictionIds(os.urandom), time.time_ns() // 1000
    ids = [made.make(now) for _ in range(count)]
    egress = Egress(EgressSettings(), AddressRules(allow_loopback=True))
    left = iter([(id_, body(id_, now, url)) for id_ in ids])
    await asyncio.gather(
        *(_post(egress, url, secret, left) for _ in range(WebhookConfig().in_flight_per_origin))
    )
    await egress.close()
    return ids


async def _post(egress: Egress, url: str, secret: str, left: Iterator[tuple[str, bytes]]) -> None:
    for id_, text in left:
        result = await egress.post(url, _headers(delivery_id(id_, 1), secret, text), text)
        if result.cause != "acknowledged":
            raise RuntimeError(result.diagnosis)


def _headers(id_: str, secret: str, body: bytes) -> dict[str, str]:
    timestamp = int(time.time())
    return {
        "content-type": "application/json",
        "user-agent": f"ringback/{__version__}",
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign((secret,), id_, timestamp, body),
        "ringback-event": "completed",
        "ringback-attempt": "1",
    }


if __name__ == "__main__":
    posted = uvloop.run(post_all(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    sys.stdout.buffer.write(msgspec.json.encode(posted))
