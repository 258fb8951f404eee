"""What creates a prediction, by whichever route: on a version, a model or a deployment, or a training."""

import functools
import hashlib
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import input_files, waiting, wire
from ringback.api.catalog import Known
from ringback.api.input_files import UsedFile
from ringback.api.preferences import Asked, asked
from ringback.api.service import Service
from ringback.rules.prediction import TERMINAL, Kind
from ringback.rules.snapshot import render
from ringback.store import predictions
from ringback.store.database import Tx
from ringback.store.predictions import Created, Idempotency, New
from ringback.words.json import canonical


async def create(
    here: Service,
    request: Request,
    account: str,
    version: Known,
    wanted: wire.Create,
    *,
    pool: str = "",
    kind: Kind = "prediction",
    destination: str | None = None,
) -> Response:
    """Create a prediction, or find the one that the same request made before.

    Args:
        here: what handlers work with.
        request: for its headers: Prefer, Cancel-After, Idempotency-Key.
        account: whose it will be.
        version: what it runs on.
        wanted: the checked body.
        pool: whose replicas run it.
        kind: prediction or training.
        destination: of a training: the model that gets the new version.

    Returns:
        201 with the prediction: as it was made, or with `Prefer: wait` as it ended, if it did in time.

    Raises:
        Invalid: the input or a header is wrong.
        Conflict: the Idempotency-Key stands for another request.
    """
    headers = asked(request)
    same = None if headers.key is None else Idempotency(headers.key, _digest(request, wanted))
    made = (
        None
        if same is None
        else await here.outbox.database.read(lambda tx: predictions.replayed(tx, account, same))
    )
    if made is None:
        new, files = await _new(here, account, version, wanted, headers)
        new = replace(new, pool=pool, kind=kind, destination=destination, idempotency=same)
        made = await here.outbox.database.write(functools.partial(_create, new=new, files=files))
        if not made.replayed:
            here.figures.created(version.model)
            here.runners.wake(version.id, pool)
            if new.deadline is not None:
                here.deadlines.expect(new.deadline)
    return await _answer(here, account, made, headers)


async def _create(tx: Tx, *, new: New, files: Sequence[UsedFile]) -> Created:
    made = await predictions.create(tx, new)
    if not made.replayed:
        await input_files.keep(tx, new.account, files)
    return made


async def _new(
    here: Service, account: str, version: Known, wanted: wire.Create, headers: Asked
) -> tuple[New, Sequence[UsedFile]]:
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
        deadline=None if after is None else now + after,
    )
    return new, files


def _digest(request: Request, wanted: wire.Create) -> str:
    body = msgspec.json.encode(wanted.body, order="deterministic")
    return hashlib.sha256(request.url.path.encode() + b"\0" + body).hexdigest()


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
