"""Deployments: a version of a model under a name of its own, with replicas and hardware of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ringback.store.database import Row, Tx, queries

Q = queries("deployments")


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as its current release has it.

    Attributes:
        name: owner/name; the pool of its replicas has the same.
        account: whose it is: nobody else sees it.
        model: owner/name.
        version: the version that it runs.
        hardware: a SKU.
        min_instances: replicas that are there even while nothing waits.
        max_instances: replicas at most.
        number: of the release: one more with each change.
        released_at: when the release was made, microseconds since the epoch.
        created_at: when the deployment was made, likewise.
    """

    name: str
    account: str
    model: str
    version: str
    hardware: str
    min_instances: int
    max_instances: int
    number: int = 1
    released_at: int = 0
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A deployment's place in its account's list: when it was made (microseconds), then its name."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of deployments, newest first, and whether there is more on either side."""

    items: list[Deployment]
    newer: bool
    older: bool


async def create(tx: Tx, new: Deployment) -> Deployment | None:
    """Make a deployment, its first release; give it, or None (and do nothing) if that name is taken."""
    made = replace(new, number=1, released_at=tx.now, created_at=tx.now)
    count = await tx.run(
        Q["create"],
        made.name,
        made.account,
        made.model,
        made.version,
        made.hardware,
        made.min_instances,
        made.max_instances,
        tx.now,
    )
    return made if count else None


async def get(tx: Tx, name: str) -> Deployment | None:
    """Give the deployment of this name, whoever it belongs to, or None."""
    row = await tx.row(Q["get"], name)
    return None if row is None else Deployment(*row)


async def all_(tx: Tx) -> list[Deployment]:
    """Give every deployment, by name."""
    return _deployments(await tx.rows(Q["all"]))


def _deployments(rows: Sequence[Row]) -> list[Deployment]:
    return [Deployment(*row) for row in rows]


async def count(tx: Tx, account: str) -> int:
    """Count an account's deployments."""
    row = await tx.row(Q["count"], account)
    return 0 if row is None else int(row[0])


async def page(
    tx: Tx, account: str, size: int, *, before: Place | None = None, after: Place | None = None
) -> Page:
    """List an account's deployments, newest first: before (older than) or after (newer than) a place."""
    if after is not None:
        rows = await tx.rows(Q["newer"], account, after.at, after.name, size + 1)
        return Page(_deployments(rows[:size])[::-1], newer=len(rows) > size, older=True)
    start = before or Place(1 << 62, "")
    rows = await tx.rows(Q["older"], account, start.at, start.name, size + 1)
    return Page(_deployments(rows[:size]), newer=before is not None, older=len(rows) > size)


async def release(tx: Tx, found: Deployment, changes: Mapping[str, Any]) -> Deployment:
    """Change version, hardware or instances; what is changed makes a new release, what is not makes none."""
    wanted = replace(found, **changes)
    if wanted == found:
        return found
    await tx.run(
        Q["release"],
        wanted.name,
        wanted.version,
        wanted.hardware,
        wanted.min_instances,
        wanted.max_instances,
        tx.now,
    )
    return replace(wanted, number=found.number + 1, released_at=tx.now)


async def is_busy(tx: Tx, name: str) -> bool:
    """Say whether predictions of a deployment have not ended, those of its earlier releases too."""
    return await tx.row(Q["waiting"], name) is not None


async def delete(tx: Tx, name: str) -> None:
    """Remove a deployment."""
    await tx.run(Q["delete"], name)
