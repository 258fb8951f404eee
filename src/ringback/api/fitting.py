"""Pages that are bounded by bytes: predictions are read one by one, and none that will not be shown."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ringback.rules.snapshot import Chunk, Facts
from ringback.store import predictions
from ringback.store.database import Database, Tx

PAGE_BYTES = 8_000_000
"""Bytes of what is on a page, unless it is a single larger one."""

Item = tuple[Facts, list[Chunk]]
Get = Callable[[Tx, str], Awaitable[Item | None]]


@dataclass(frozen=True, slots=True)
class Fitting:
    """What fits on a page: ids and JSON texts, in order, and whether something was left out behind them."""

    items: list[tuple[str, bytes]]
    is_cut: bool


async def fitting(
    database: Database,
    ids: Sequence[str],
    get: Get,
    show: Callable[[Facts, list[Chunk]], bytes],
) -> Fitting:
    """Read and show as many predictions as fit on a page, at least one. Others have their turn in between.

    Args:
        database: where they are.
        ids: which, in order.
        get: reads one of them; one that is not there any more is left out.
        show: gives its JSON.
    """
    items: list[tuple[str, bytes]] = []
    left = PAGE_BYTES
    for id_ in ids:
        if items and not await _fits(database, id_, left):
            return Fitting(items, is_cut=True)
        found = await _read(database, id_, get)
        if found is None:
            continue
        text = show(*found)
        left -= len(text)
        if items and left < 0:
            return Fitting(items, is_cut=True)
        items.append((id_, text))
        await asyncio.sleep(0)
    return Fitting(items, is_cut=False)


async def _fits(database: Database, id_: str, room: int) -> bool:
    return await database.read(lambda tx: predictions.fits(tx, id_, room))


async def _read(database: Database, id_: str, get: Get) -> Item | None:
    return await database.read(lambda tx: get(tx, id_))
