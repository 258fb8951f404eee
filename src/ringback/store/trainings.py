"""Trainings: predictions that end in a new version of a model.

The end of one and the version that it makes are one transaction: a crash leaves both or neither.
"""

import hashlib

from msgspec import Struct
from msgspec.structs import replace

from ringback.store import accounts, models, runs
from ringback.store.database import Tx, queries
from ringback.store.lanes import Telling
from ringback.store.runs import Change, Ending
from ringback.store.subjects import Hold
from ringback.words.json import Raw, canonical

Q = queries("trainings")

POOL = "train"
"""Whose replicas run them."""

NO_DESTINATION = "The training's destination no longer exists"


class Result(Struct, frozen=True):
    """What a training made.

    Attributes:
        weights: the output file that holds them, as id/name.
        url: where that file is served.
        more: what else the model returned, by key; never `version` or `weights`.
    """

    weights: str
    url: str
    more: dict[str, Raw] = {}


def made_version(base: str, training: str) -> str:
    """Give the id of the version that a training on version `base` makes: 64 hexadecimal digits."""
    return hashlib.sha256(f"ringback training 1\0{base}\0{training}\0".encode()).hexdigest()


async def may_train(tx: Tx, account: str, destination: str) -> bool:
    """Say whether a training of this account may make versions of a model: only its owner's may.

    What the server was told to serve is the first account's, the operator's: its new versions run for all.
    """
    model = await models.get(tx, account, destination)
    return model is not None and (model.account or await accounts.default(tx)) == account


async def end(tx: Tx, hold: Hold, ending: Ending, result: Result, telling: Telling) -> Change:
    """End a training that succeeded, with the version it made: the base's sources, with these weights.

    It becomes the latest version of the destination. If the destination is gone the training fails; if the
    training is no longer held nothing changes.
    """
    row = await tx.row(Q["target"], hold.id)
    if row is None:
        return await runs.end(tx, hold, replace(ending, move="fail", error=NO_DESTINATION), telling)
    base, destination = row
    made = made_version(base, hold.id)
    output = {"version": f"{destination}:{made}", "weights": result.url, **result.more}
    chunks = (*ending.chunks, ("value", canonical(output).decode()))
    change = await runs.end(tx, hold, replace(ending, chunks=chunks), telling)
    if change.held:
        await tx.run(Q["register"], made, destination, tx.now, result.weights, base)
        await tx.run(Q["copy_files"], made, base)
    return change
