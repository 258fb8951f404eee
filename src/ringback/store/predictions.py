"""Predictions: created, claimed, run, ended; each change in one transaction with the events it owes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ringback.rules import prediction as rules
from ringback.rules.endpoint import Target, endpoint_key
from ringback.rules.lane import PARTIAL
from ringback.rules.prediction import EVENT_OF, TERMINAL, Event, Move, Status, mask
from ringback.rules.retry import SECOND
from ringback.rules.snapshot import Chunk, Facts
from ringback.store import lanes, subjects
from ringback.store.database import Row, Tx, queries
from ringback.store.lanes import NOTHING, Owed, Telling, Told
from ringback.store.subjects import Hold, Subject

Q = queries("predictions")
C = queries("chunks")
D = queries("deliveries")

NewChunk = tuple[Literal["value", "items", "logs"], str]
"""A piece of output or logs to append."""

_PARTIAL_OF: dict[str, Event] = {"value": "output", "items": "output", "logs": "logs"}


class Webhook(Struct, frozen=True):
    """Where to ring back, and for which events.

    Attributes:
        url: as given.
        endpoint: the URL without its query.
        origin: scheme://host:port.
        events: the filter.
    """

    url: str
    endpoint: str
    origin: str
    events: frozenset[Event]


class New(Struct, frozen=True):
    """A prediction to create; `input` is canonical JSON."""

    id: str
    account: str
    version: str
    model: str
    input: str
    webhook: Webhook | None


class Claim(Struct, frozen=True):
    """A claimed prediction."""

    hold: Hold
    input: str
    target: Target | None
    events: int
    status: Status


class Change(Struct, frozen=True):
    """What a holder's change came to.

    Attributes:
        held: False when it no longer holds the prediction (canceled, or taken over): nothing was changed.
        owed: what it left to do for a dispatcher.
        reached: the model and the status, if the prediction has ended.
    """

    held: bool
    owed: Owed = NOTHING
    reached: tuple[str, Status] | None = None


LOST = Change(held=False)


async def create(tx: Tx, new: New) -> Facts:
    """Add a prediction to its version's queue."""
    hook = new.webhook
    bits = 0 if hook is None else mask(hook.events)
    await tx.run(
        Q["create"],
        new.id,
        new.account,
        new.version,
        new.model,
        new.input,
        tx.now,
        *((None, None, None) if hook is None else (hook.url, hook.endpoint, hook.origin)),
        bits,
    )
    return Facts(
        new.id,
        new.model,
        new.version,
        "starting",
        new.input,
        "api",
        tx.now,
        None,
        None,
        None,
        "{}",
        None if hook is None else hook.url,
        bits,
        data_removed=False,
    )


async def get(tx: Tx, account: str, id_: str) -> tuple[Facts, list[Chunk]] | None:
    """Give a prediction of this account with its chunks, or None."""
    row = await tx.row(Q["get_of_account"], id_, account)
    return None if row is None else (Facts(*row), await _chunks(tx, id_))


async def facts(tx: Tx, id_: str) -> Facts | None:
    """Give a prediction whoever it belongs to, or None."""
    row = await tx.row(Q["get"], id_)
    return None if row is None else Facts(*row)


async def target(tx: Tx, id_: str) -> Target | None:
    """Say where a prediction's events go, or None."""
    row = await tx.row(Q["target"], id_)
    return None if row is None else _target(*row)


def _target(account: str, origin: str | None, endpoint: str) -> Target | None:
    return None if origin is None else Target(origin, endpoint_key(account, endpoint))


async def _chunks(tx: Tx, id_: str) -> list[Chunk]:
    return [(kind, data) for kind, data in await tx.rows(C["all"], id_)]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, newest first, and whether there is more on either side."""

    items: list[tuple[Facts, list[Chunk]]]
    newer: bool
    older: bool


async def page(
    tx: Tx, account: str, size: int, *, before: str | None = None, after: str | None = None
) -> Page:
    """List an account's predictions, newest first: before (older than) or after (newer than) an id."""
    if after is not None:
        rows = await tx.rows(Q["newer"], account, after, size + 1)
        newer, rows = len(rows) > size, rows[:size][::-1]
        older = True
    else:
        rows = await _older(tx, account, before, size + 1)
        older, rows = len(rows) > size, rows[:size]
        newer = before is not None
    return Page([(Facts(*row), await _chunks(tx, row[0])) for row in rows], newer, older)


async def _older(tx: Tx, account: str, before: str | None, limit: int) -> list[Row]:
    if before is None:
        return await tx.rows(Q["newest"], account, limit)
    return await tx.rows(Q["older"], account, before, limit)


async def claim(tx: Tx, version: str, holder: str, limit: int) -> list[Claim]:
    """Claim up to `limit` predictions of a version, oldest first."""
    rows = await tx.rows(Q["claim"], version, holder, limit)
    claims = [
        Claim(Hold(id_, holder, run), input_, _target(account, origin, endpoint), events, status)
        for id_, input_, run, account, origin, endpoint, events, status in rows
    ]
    return sorted(claims, key=lambda claim: claim.hold.id)


async def hand_back(tx: Tx, holds: Sequence[Hold], telling: Telling, policy: str = "unpublished") -> None:
    """Return claimed predictions to the queue, begun ones as `policy` says; it counts as no interruption."""
    for hold in holds:
        subject = await subjects.held(tx, hold)
        if subject is not None:
            decision = rules.recover(
                begun=subject.facts.status == "processing",
                published=await _published(tx, hold.id),
                interruptions=0,
                policy=policy,
            )
            await _take_over(tx, subject, decision, telling, counted=False)


async def _published(tx: Tx, id_: str) -> bool:
    return await tx.row(Q["published"], id_) is not None


async def advance(
    tx: Tx, hold: Hold, *, started: bool, chunks: Sequence[NewChunk], telling: Telling
) -> Change:
    """Say that the predictor has started on it, add output and logs in order, or both."""
    subject = await subjects.held(tx, hold)
    if subject is None:
        return LOST
    told: list[Told] = []
    status = rules.after(subject.facts.status, "start") if started else None
    if status is not None:  # None in a second run of it: that it started is told already
        await tx.run(Q["start"], hold.id, status, tx.now)
        subject = subject.now(replace(subject.facts, status=status, started_at=tx.now))
        told.append(Told("start", status, subject.sequence))
    if chunks:
        upto = await _append(tx, subject, chunks)
        event = _partial(subject, chunks)
        told += [] if event is None else [Told(event, "processing", upto)]
    return await _tell(tx, subject, told, telling, fresh=chunks)


async def _append(tx: Tx, subject: Subject, chunks: Sequence[NewChunk]) -> int:
    sequence = subject.sequence
    for kind, data in chunks:
        sequence += 1
        await tx.run(C["append"], subject.facts.id, sequence, kind, data)
    return sequence


def _partial(subject: Subject, chunks: Sequence[NewChunk]) -> Event | None:
    """Which of the asked events these chunks are: one, and `output` if both."""
    changed = {_PARTIAL_OF[kind] for kind, _ in chunks} & subject.events
    return "output" if "output" in changed else "logs" if changed else None


async def _tell(
    tx: Tx,
    subject: Subject,
    told: Sequence[Told],
    telling: Telling,
    *,
    fresh: Sequence[NewChunk],
    flush: Told | None = None,
) -> Change:
    asked = [item for item in told if item.event in subject.events]
    closing = subject.facts.status in TERMINAL and subject.fence is not None
    if subject.target is None or not (asked or flush or closing):
        return Change(held=True)
    # With no chunk before these, they are all there is: nothing has to be read to show them.
    chunks: list[Chunk] | None = None if subject.sequence else list(fresh)
    owed = await lanes.tell(tx, subject, asked, telling, flush=flush, chunks=chunks)
    return Change(held=True, owed=owed)


class Ending(Struct, frozen=True):
    """How a run ended.

    Attributes:
        move: succeed, fail or cancel.
        error: what went wrong, for `fail`.
        chunks: output and logs not yet appended.
        started_at: when the predictor started on it, microseconds, or None if it never did.
        predict_us: how long the predictor ran, microseconds, or None if it never did.
    """

    move: Move
    error: str | None = None
    chunks: tuple[NewChunk, ...] = ()
    started_at: int | None = None
    predict_us: int | None = None


async def end(tx: Tx, hold: Hold, ending: Ending, telling: Telling) -> Change:
    """End a prediction that is held, and let go of it."""
    subject = await subjects.held(tx, hold)
    return LOST if subject is None else await _end(tx, subject, ending, telling)


async def _end(tx: Tx, subject: Subject, ending: Ending, telling: Telling) -> Change:
    told: list[Told] = []
    facts = subject.facts
    if facts.status == "starting" and ending.started_at is not None:
        # The predictor was quicker than the record of its start.
        facts = replace(facts, status="processing", started_at=ending.started_at)
        told.append(Told("start", "processing", subject.sequence))
    status = rules.after(facts.status, ending.move)
    if status is None:
        return LOST
    upto = await _append(tx, subject, ending.chunks)
    metrics = _metrics(ending.predict_us, tx.now - facts.created_at)
    facts = replace(facts, status=status, completed_at=tx.now, error=ending.error, metrics=metrics)
    await tx.run(Q["end"], facts.id, status, facts.started_at, tx.now, ending.error, metrics)
    subject = subject.now(facts)
    last = Told(EVENT_OF[status], status, upto)
    reached = (facts.model, status)
    if last.event in subject.events:
        change = await _tell(tx, subject, [*told, last], telling, fresh=ending.chunks)
        return replace(change, reached=reached)
    event = _partial(subject, ending.chunks)
    partial = [] if event is None else [Told(event, status, upto)]
    flush = last if subject.events & PARTIAL else None
    change = await _tell(tx, subject, [*told, *partial], telling, fresh=ending.chunks, flush=flush)
    return replace(change, reached=reached)


def _metrics(predict_us: int | None, total_us: int) -> str:
    times = {"predict_time": predict_us, "total_time": max(0, total_us)}
    return "{" + ",".join(f'"{name}":{_seconds(us)}' for name, us in times.items() if us is not None) + "}"


def _seconds(us: int) -> str:
    # At most 15 significant digits, so this decimal is also what ECMAScript prints for the number.
    return f"{us // SECOND}.{us % SECOND:06d}".rstrip("0").rstrip(".")


async def cancel(tx: Tx, account: str, id_: str, telling: Telling) -> Change:
    """End a prediction as canceled, at once, whoever runs it; its run is fenced off from here on.

    Returns:
        Whether it was still queued or running, and what that left to do.

    Raises:
        LookupError: this account has no such prediction.
    """
    subject = await subjects.of_account(tx, account, id_)
    if subject is None:
        raise LookupError(id_)
    started_at = subject.facts.started_at
    ran = None if started_at is None else max(0, tx.now - started_at)
    return await _end(tx, subject, Ending("cancel", predict_us=ran), telling)


async def fail_unserved(tx: Tx, version: str, reason: str, telling: Telling, limit: int) -> int:
    """End queued predictions of a version that can't be run; give how many there were."""
    claims = await claim(tx, version, "unserved", limit)
    for each in claims:
        await end(tx, each.hold, Ending("fail", error=reason), telling)
    return len(claims)


async def queued_versions(tx: Tx) -> list[str]:
    """Give the versions that have predictions waiting."""
    return [str(row[0]) for row in await tx.rows(Q["queued_versions"])]


async def recover(tx: Tx, holder: str, policies: dict[str, str], telling: Telling) -> dict[str, int]:
    """Take over the predictions of workers that are known to be dead (everybody but `holder`).

    Args:
        tx: the transaction.
        holder: the worker that is alive.
        policies: each model's `rerun` setting; `unpublished` where there is none.
        telling: how to write the events of those that fail.

    Returns:
        How many were released, are to run again, and failed.
    """
    counts = {"release": 0, "again": 0, "fail": 0}
    for id_, run, model, dead, interruptions in await tx.rows(Q["held"], holder):
        subject = await subjects.held(tx, Hold(id_, dead, run))
        if subject is None:  # pragma: no cover - it was read in this same transaction
            continue
        decision = rules.recover(
            begun=subject.facts.status == "processing",
            published=await _published(tx, id_),
            interruptions=interruptions,
            policy=policies.get(model, "unpublished"),
        )
        counts[decision] += 1
        await _take_over(tx, subject, decision, telling, counted=True)
    return counts


async def _take_over(
    tx: Tx, subject: Subject, decision: rules.Recovery, telling: Telling, *, counted: bool
) -> None:
    id_ = subject.facts.id
    if decision == "fail":
        await _end(tx, subject, Ending("fail", error=rules.INTERRUPTED), telling)
        return
    if decision == "again":
        # The next run begins anew: what this one wrote, and nobody was sent, is as if it had never been.
        await tx.run(C["forget"], id_)
        await tx.run(D["forget_unattempted"], id_)
        if subject.target is not None and subject.fence is not None:
            await lanes.tell(tx, subject, [], telling)
    await tx.run(Q["release"], id_, int(counted and decision == "again"))
