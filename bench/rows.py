"""What is measured: each function is one run with fresh processes and a fresh data folder."""

import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.creates import Created, Job
from bench.flood import Flood, Flooded
from bench.processes import (
    ROOT,
    TOKEN,
    Receiver,
    Server,
    data_folder,
    module,
    receiving,
    result_of,
    serving,
)
from bench.quantiles import quantile
from bench.receiver import Receipt, Report
from ringback.assembly.data import DataFolder
from ringback.words.ids import delivery_id

CREATES_IN_FLIGHT = 64
PACE = 100.0
"""Predictions a second where latency is measured."""
FLOODING = 8
"""Connections of the flood; the server is busy with fewer."""
_INPUT = {
    "prompt": "an astronaut riding a rainbow unicorn, cinematic, dramatic light, wide angle, film grain",
    "seed": 42,
    "aspect_ratio": "16:9",
    "num_outputs": 1,
}


@dataclass(frozen=True, slots=True)
class Check:
    """What was wrong with what arrived: all 0, or the numbers mean nothing.

    Attributes:
        bad: requests that are not authentic, or tell of something else than a success.
        missing: events that never came, and changes that are not in the database afterwards.
        duplicate: requests with an id that had come before.
    """

    bad: int = 0
    missing: int = 0
    duplicate: int = 0

    def __add__(self, other: "Check") -> "Check":
        return Check(self.bad + other.bad, self.missing + other.missing, self.duplicate + other.duplicate)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: figures by name (the unit is in the name), and whether they can be trusted."""

    figures: dict[str, float]
    check: Check = field(default_factory=Check)


def creates(command: Sequence[str], events: int) -> Sample:
    """Durable creates: nothing else goes on, since the only replica is taken."""
    with data_folder() as folder, serving(command, folder / "data", "blocked") as server:
        server.until(str(server.create(_body("blocked"))["id"]), "processing")
        used = server.processor_s()
        made = _create(server, _body("blocked"), events)
        used = server.processor_s() - used
        server.kill()
        kept = _rows(folder / "data", "SELECT id FROM predictions")
        check = Check(missing=len(set(made.ids) - {str(id_) for (id_,) in kept}))
    return Sample(
        {
            "creates/s": events / (made.ended - made.started),
            "p50 ms": quantile(made.durations, 0.5) * 1e3,
            "p99 ms": quantile(made.durations, 0.99) * 1e3,
            "in flight": CREATES_IN_FLIGHT,
            "server cpu us/event": used / events * 1e6,
        },
        check,
    )


def end_to_end(command: Sequence[str], events: int) -> Sample:
    """Predictions with a completed webhook, from the first create to the last receipt."""
    with _both(command, "echo") as (server, receiver, data):
        body = _body("echo", receiver.url)
        secret = _warmed(server, receiver, body)
        used = server.processor_s()
        made = _create(server, body, events)
        receiver.until(events, _patience(events))
        used = server.processor_s() - used
        server.stop()
        report = receiver.report(secret)
        check = _check(made.ids, report) + _settled(data)
    last = max(receipt.at for receipt in report.receipts)
    return Sample(
        {
            "predictions/s": events / (last - made.started),
            "creates in flight": CREATES_IN_FLIGHT,
            "creates/s meanwhile": events / (made.ended - made.started),
            "owed at the last create": sum(receipt.at > made.ended for receipt in report.receipts),
            "server cpu us/event": used / events * 1e6,
        },
        check,
    )


def latency(command: Sequence[str], events: int) -> Sample:
    """From completion to the receiver's first byte at 100 a second, with nothing else going on."""
    with _both(command, "clock") as (server, receiver, data):
        return _paced(server, receiver, data, events)


def latency_flood(command: Sequence[str], events: int) -> Sample:
    """The same beside a flood of GETs."""
    with _both(command, "clock") as (server, receiver, data):
        read = str(server.create(_body("clock"))["id"])
        job = Flood(server.port, TOKEN, read, FLOODING)
        arguments = module("flood", msgspec.json.encode(job).decode())
        with subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as flood:
            assert flood.stdout is not None
            flood.stdout.readline()
            sample = _paced(server, receiver, data, events, flood)
            flooded = msgspec.json.decode(flood.stdout.read(), type=Flooded)
    figures = {**sample.figures, "GETs/s": flooded.answered / flooded.seconds}
    return Sample(figures, sample.check)


def _paced(
    server: Server,
    receiver: Receiver,
    data: Path,
    events: int,
    flood: "subprocess.Popen[bytes] | None" = None,
) -> Sample:
    body = _body("clock", receiver.url)
    secret = _warmed(server, receiver, body)
    used = server.processor_s()
    made = _create(server, body, events, PACE)
    receiver.until(events, _patience(events))
    used = server.processor_s() - used
    if flood is not None and flood.stdin is not None:
        flood.stdin.close()
        flood.wait()
    server.stop()
    report = receiver.report(secret)
    times = [receipt.at - receipt.output for receipt in report.receipts if receipt.output is not None]
    return Sample(
        {
            "p50 ms": quantile(times, 0.5) * 1e3,
            "p99 ms": quantile(times, 0.99) * 1e3,
            "max ms": max(times) * 1e3,
            "predictions/s": (events - 1) / (made.ended - made.started),
            "server cpu %": used / (made.ended - made.started) * 100,
        },
        _check(made.ids, report) + _settled(data),
    )


def burst(command: Sequence[str], events: int) -> Sample:
    """Deliveries that were owed before the server started; then the same POSTs without a server."""
    with data_folder() as folder, receiving() as receiver:
        data = folder / "data"
        ids = result_of(module("owed", str(data), str(events), receiver.url), list[str])
        with serving(command, data) as server:
            used = server.processor_s()
            secret = server.secret()
            receiver.until(events, _patience(events))
            used = server.processor_s() - used
            server.stop()
        owed = receiver.report(secret)
        check = _check(ids, owed) + _settled(data)
        posted = result_of(module("bare", receiver.url, secret, str(events)), list[str])
        bare = receiver.report(secret)
        check += _check(posted, bare)
    rate, limit = _rate(owed.receipts), _rate(bare.receipts)
    return Sample(
        {
            "deliveries/s": rate,
            "bare POSTs/s": limit,
            "share of bare %": rate / limit * 100,
            "body bytes": quantile([receipt.length for receipt in owed.receipts], 0.5),
            "bare body bytes": quantile([receipt.length for receipt in bare.receipts], 0.5),
            "server cpu us/event": used / events * 1e6,
        },
        check,
    )


ROWS = {
    "creates": creates,
    "end-to-end": end_to_end,
    "latency": latency,
    "latency-flood": latency_flood,
    "burst": burst,
}


@contextmanager
def _both(command: Sequence[str], model: str) -> Iterator[tuple[Server, Receiver, Path]]:
    with data_folder() as folder, receiving() as receiver:
        data = folder / "data"
        with serving(command, data, model) as server:
            yield server, receiver, data


def _body(model: str, webhook: str | None = None) -> bytes:
    hook = {} if webhook is None else {"webhook": webhook, "webhook_events_filter": ["completed"]}
    return msgspec.json.encode({"version": f"bench/{model}", "input": _INPUT, **hook})


def _create(server: Server, body: bytes, events: int, per_second: float = 0.0) -> Created:
    job = Job(server.port, TOKEN, body.decode(), events, CREATES_IN_FLIGHT, per_second)
    return result_of(module("creates", msgspec.json.encode(job).decode()), Created)


def _warmed(server: Server, receiver: Receiver, body: bytes) -> str:
    """Run one prediction to its end, so that the model's setup is over; give the secret.

    Raises:
        TimeoutError: no webhook comes.
    """
    server.create(body)
    if not receiver.until(1, _patience(1)):
        raise TimeoutError("the webhook of the first prediction does not come")
    secret = server.secret()
    receiver.report(secret)
    return secret


def _patience(events: int) -> float:
    return 60 + events / 50


def _check(ids: Sequence[str], report: Report) -> Check:
    came = [receipt.id for receipt in report.receipts]
    expected = {delivery_id(id_, 1) for id_ in ids}
    strange = sum(id_ not in expected for id_ in came)
    return Check(report.bad + strange, len(expected - set(came)), len(came) - len(set(came)))


def _settled(data: Path) -> Check:
    ((open_,),) = _rows(data, "SELECT count(*) FROM deliveries WHERE status <> 'delivered'")
    return Check(missing=int(open_))


def _rows(data: Path, sql: str) -> list[tuple[str | int]]:
    with closing(DataFolder(str(data))) as locked, closing(sqlite3.connect(locked.database)) as connection:
        return connection.execute(sql).fetchall()


def _rate(receipts: Sequence[Receipt]) -> float:
    moments = [receipt.at for receipt in receipts]
    return (len(moments) - 1) / (max(moments) - min(moments))
