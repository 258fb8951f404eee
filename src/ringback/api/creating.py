"""What creates a prediction, by whichever route: on a version, a model or a deployment, or a training."""

import functools
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import input_files, waiting, wire
from ringback.api.body import read_object
from ringback.api.catalog import Known
from ringback.api.input_files import UsedFile
from ringback.api.preferences import Asked, asked
from ringback.api.service import Service
from ringback.rules.prediction import TERMINAL, Kind
from ringback.rules.snapshot import render
from ringback.store import deployments, predictions, trainings, versions
from ringback.store.database import Tx
from ringback.store.predictions import Created, Idempotency, New
from ringback.words.errors import Unavailable
from ringback.words.json import canonical, comparable

_TRIES = 5
"""How often a request is understood anew if what it needs has changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a request asks for, found and checked but for the input.

    Attributes:
        version: what it runs on.
        wanted: the checked body.
        pool: whose replicas run it.
        kind: prediction or training.
        destination: of a training: the model that gets the new version.
    """

    version: Known
    wanted: wire.Create
    pool: str = ""
    kind: Kind = "prediction"
    destination: str | None = None


async def create(
    here: Service,
    request: Request,
    account: str,
    understood: Callable[[dict[str, Any]], Awaitable[Order]],
) -> Response:
    """Create a prediction, or find the one that the same request made before.

    A body may take minutes to arrive, so all that can change meanwhile is looked up after it, and looked up
    again if it has changed before the prediction was written.

    Args:
        here: what handlers work with.
        request: its body and headers: Prefer, Cancel-After, Idempotency-Key.
        account: whose it will be.
        understood: gives what the body asks for; called again if that has changed.

    Returns:
        201 with the prediction: as it was made, or with `Prefer: wait` as it ended, if it did in time.

    Raises:
        TooLarge: as api/body.read_object, and Malformed.
        Invalid: the input or a header is wrong.
        Conflict: the Idempotency-Key stands for another request.
        Unavailable: what it needs changes again and again.
        RingbackError: what `understood` raises.
    """
    body = await read_object(request, here.body_limit)
    headers = asked(request)
    same = None if headers.key is None else Idempotency(headers.key, _digest(request, headers, body))
    made = None
    if same is not None:
        made = await here.outbox.database.read(lambda tx: predictions.replayed(tx, account, same))
    for _ in range(_TRIES):
        made = made or await _made(here, account, await understood(body), headers, same)
    if made is None:
        raise Unavailable("What this request needs keeps changing: ask again.")
    return await _answer(here, account, made, headers)


async def _made(
    here: Service, account: str, order: Order, headers: Asked, same: Idempotency | None
) -> Created | None:
    """Carry an order out; give None, and do nothing, if it is not to be had like this any more."""
    new, files = await _new(here, account, order, headers)
    new = replace(new, idempotency=same)
    made = await here.outbox.database.write(functools.partial(record, new=new, files=files))
    if made is None:
        here.catalog.forget()
    elif not made.replayed:
        here.figures.created(new.model)
        here.runners.wake(new.version, new.pool)
        if new.deadline is not None:
            here.deadlines.expect(new.deadline)
    return made


async def record(tx: Tx, new: New, files: Sequence[UsedFile] = ()) -> Created | None:
    """Write a prediction, or find it by its key; give None, and write nothing, if what it hangs on is gone.

    Raises:
        Conflict: its Idempotency-Key stands for another request.
        Invalid: a file that it names is not there.
    """
    same = new.idempotency
    if not await _stands(tx, new):
        return None if same is None else await predictions.replayed(tx, new.account, same)
    made = await predictions.create(tx, new)
    if not made.replayed:
        await input_files.keep(tx, new.account, files)
    return made


async def _stands(tx: Tx, new: New) -> bool:
    """Say whether all that it hangs on is still there. Whatever deletes that later finds the prediction."""
    if not await versions.may_run(tx, new.account, new.version):
        return False
    if new.kind == "training":
        return await trainings.may_train(tx, new.account, new.destination or "")
    if not new.pool:
        return True
    found = await deployments.get(tx, new.pool)
    return found is not None and (found.account, found.version) == (new.account, new.version)


async def _new(here: Service, account: str, order: Order, headers: Asked) -> tuple[New, Sequence[UsedFile]]:
    version, wanted = order.version, order.wanted
    version.schema.check(wanted.input)
    now = here.clock()
    id_ = here.ids.make(now)
    input_, files = await input_files.prepared(here, account, id_, wanted.input, version.schema.properties)
    after = headers.cancel_after_us
    new = New(
        id_,
        account,
        version.id,
        version.model,
        canonical(input_).decode(),
        wanted.webhook,
        kind=order.kind,
        pool=order.pool,
        deadline=None if after is None else now + after,
        destination=order.destination,
    )
    return new, files


def _digest(request: Request, headers: Asked, body: dict[str, Any]) -> str:
    """Give what two requests have in common that ask for the same: not how they want to be answered."""
    asked_for = [request.url.path, headers.cancel_after_us, body]
    return hashlib.sha256(comparable(asked_for)).hexdigest()


async def _answer(here: Service, account: str, made: Created, headers: Asked) -> Response:
    facts, chunks = made.facts, made.chunks
    more = {"location": f"{here.links.base}/v1/{facts.kind}s/{facts.id}"}
    if made.replayed:
        more["idempotent-replayed"] = "true"
    if headers.wait_s is None:
        return _json(render(facts, chunks, here.links), more)
    more["preference-applied"] = headers.applied
    ended = (
        (facts, chunks)
        if facts.status in TERMINAL
        else await waiting.for_end(here, account, facts.id, headers.wait_s)
    )
    if ended is None:
        # As if it had just been made: to the clients anything but `starting` is the end of it.
        facts = replace(facts, status="starting", started_at=None)
        return _json(render(facts, [], here.links), more)
    return _json(await waiting.shown(here, *ended), more)


def _json(text: bytes, headers: dict[str, str]) -> Response:
    return Response(text, 201, headers, media_type="application/json")
