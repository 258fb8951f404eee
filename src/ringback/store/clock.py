"""What the database knows of time, for a start under a clock that was set back meanwhile."""

from ringback.store.database import Tx, queries

Q = queries("clock")


async def latest(tx: Tx) -> int:
    """Give a time, microseconds, that has been reached before as far as anything waiting shows; 0 for none.

    Only columns that `bring_back` moves count, so that what it has dealt with is over. A look at all that
    waits, for the start alone.
    """
    (found,) = await tx.row(Q["latest"]) or (0,)
    return int(found)


async def bring_back(tx: Tx, ahead: int) -> int:
    """Move what was written under a clock that went `ahead` (microseconds) of the one there is now.

    A wait keeps what was left of it, and a delivery what was left of its window. What was written before that
    clock went wrong, and lies ahead rightly, goes sooner than it should; nothing ends before its time.

    Returns:
        How many lanes were moved.
    """
    moved = await tx.run(Q["lanes_back"], tx.now, ahead)
    for table in ("deliveries", "endpoints", "notices"):
        await tx.run(Q[f"{table}_back"], tx.now, ahead)
    return moved
