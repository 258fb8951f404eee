"""`Prefer: wait`: an answer that is held until the prediction has ended, or the time is up."""

import asyncio

from ringback.api.files import inlined
from ringback.api.service import Service
from ringback.rules.prediction import TERMINAL
from ringback.rules.snapshot import Chunk, Facts, render
from ringback.store import predictions

_LOOK_S = 5.0
"""Seconds between two looks if nobody calls: a net, not the way."""


async def for_end(here: Service, account: str, id_: str, seconds: float) -> tuple[Facts, list[Chunk]] | None:
    """Give a prediction once it has ended; None when it has not after `seconds`, or the server stops."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    with here.watchers.watching(id_, only_end=True) as watch:
        while True:
            facts = await here.outbox.database.read(lambda tx: predictions.facts(tx, id_))
            if facts is None:
                return None
            if facts.status in TERMINAL:
                return await here.outbox.database.read(lambda tx: predictions.get(tx, account, id_))
            left = end - loop.time()
            if left <= 0 or here.watchers.closing:
                return None
            await watch.changed(min(left, _LOOK_S))


async def shown(here: Service, facts: Facts, chunks: list[Chunk]) -> bytes:
    """Render a prediction that was waited for, its output files as the clients can use them.

    A training's weights remain a URL: nobody looks at them as an image.
    """
    return render(facts, chunks if facts.kind == "training" else await inlined(here, chunks), here.links)
