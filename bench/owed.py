"""What a burst consists of: finished predictions whose `completed` is still owed, with bodies of 2 kB.

As a process it writes them into a fresh data folder, with the store's own verbs, before a server starts.
"""

import asyncio
import os
import sys
import time
from functools import partial
from pathlib import Path

import msgspec

from ringback.assembly.data import DataFolder
from ringback.rules.prediction import mask
from ringback.rules.snapshot import Facts, Links, render
from ringback.store import accounts, predictions, runs
from ringback.store.database import Tx
from ringback.store.lanes import Telling
from ringback.store.migrations import migrate_sqlite
from ringback.store.predictions import New, Webhook
from ringback.store.runs import Ending
from ringback.store.sqlite import Sqlite
from ringback.words.ids import PredictionIds, unguessable
from ringback.words.json import canonical
from ringback.words.signature import new_secret

_LINKS = Links("http://127.0.0.1:5050")
_HOLDER = "bench"
_TOGETHER = 5000
"""Predictions written in one transaction."""
_VERSION = "0" * 64
_MODEL = "bench/owed"
_INPUT = canonical({"prompt": "an astronaut riding a horse, " * 8}).decode()
_OUTPUT = canonical("and so they rode on. " * 56).decode()
"""As long as it takes for the whole body to have 2 kB."""


def body(id_: str, now_us: int, url: str) -> bytes:
    """Give one such body without a store."""
    facts = Facts(
        id=id_,
        model=_MODEL,
        version=_VERSION,
        status="succeeded",
        input=_INPUT,
        source="api",
        created_at=now_us,
        started_at=now_us,
        completed_at=now_us,
        error=None,
        metrics='{"predict_time":0.001,"total_time":0.002}',
        webhook=url,
        events=mask(frozenset({"completed"})),
        data_removed=False,
    )
    return render(facts, [("value", _OUTPUT)], _LINKS)


async def _owe(tx: Tx, account: str, ids: list[str], url: str) -> None:
    webhook = Webhook(url, url, url.rsplit("/", 1)[0], frozenset({"completed"}))
    for id_ in ids:
        await predictions.create(tx, New(id_, account, _VERSION, _MODEL, _INPUT, webhook))
    telling = Telling(0, _LINKS)
    for claim in await runs.claim(tx, _VERSION, "", _HOLDER, len(ids)):
        ending = Ending("succeed", chunks=(("value", _OUTPUT),), started_at=tx.now, predict_us=1000)
        await runs.end(tx, claim.hold, ending, telling)


async def owe(folder: str, count: int, url: str) -> list[str]:
    """Write `count` of them, all due at once, owed to `url`; give their ids."""
    data = DataFolder(folder)
    migrate_sqlite(data.database)
    database = Sqlite(data.database, lambda: time.time_ns() // 1000)
    account, made = unguessable(os.urandom), PredictionIds(os.urandom)
    ids = [made.make(time.time_ns() // 1000) for _ in range(count)]
    parts = [ids[at : at + _TOGETHER] for at in range(0, count, _TOGETHER)]
    await database.write(
        lambda tx: accounts.create(
            tx, id=account, username="ringback", secret_id=account, secret=new_secret(os.urandom)
        )
    )
    for part in parts:
        await database.write(partial(_owe, account=account, ids=part, url=url))
    await database.close()
    data.close()
    return ids


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    owing = asyncio.run(owe(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
    sys.stdout.buffer.write(msgspec.json.encode(owing))
