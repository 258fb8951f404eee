"""What is measured: each function is one run with fresh processes and a fresh data folder."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.flood import Flood, Flooded
from bench.load import (
    CREATES_IN_FLIGHT,
    PACE,
    Check,
    Sample,
    body_of,
    checked,
    create,
    patience,
    rows_of,
    settled,
    warmed,
)
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
from bench.receiver import Receipt

FLOODING = 8
"""Connections of the flood; the server is busy with fewer."""


def creates(command: Sequence[str], events: int) -> Sample:
    """Durable creates: nothing else goes on, since the only replica is taken."""
    with data_folder() as folder, serving(command, folder / "data", "blocked") as server:
        server.until(str(server.create(body_of("blocked"))["id"]), "processing")
        used = server.processor_s()
        made = create(server, body_of("blocked"), events)
        used = server.processor_s() - used
        server.kill()
        kept = rows_of(folder / "data", "SELECT id FROM predictions")
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
        body = body_of("echo", receiver.url)
        secret = warmed(server, receiver, body)
        used = server.processor_s()
        made = create(server, body, events)
        receiver.until(events, patience(events))
        used = server.processor_s() - used
        server.stop()
        report = receiver.report(secret)
        check = checked(made.ids, report) + settled(data)
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
        read = str(server.create(body_of("clock"))["id"])
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
    body = body_of("clock", receiver.url)
    secret = warmed(server, receiver, body)
    used = server.processor_s()
    made = create(server, body, events, PACE)
    receiver.until(events, patience(events))
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
        checked(made.ids, report) + settled(data),
    )


def burst(command: Sequence[str], events: int) -> Sample:
    """Deliveries that were owed before the server started; then the same POSTs without a server."""
    with data_folder() as folder, receiving() as receiver:
        data = folder / "data"
        ids = result_of(module("owed", str(data), str(events), receiver.url), list[str])
        with serving(command, data) as server:
            used = server.processor_s()
            secret = server.secret()
            receiver.until(events, patience(events))
            used = server.processor_s() - used
            server.stop()
        owed = receiver.report(secret)
        check = checked(ids, owed) + settled(data)
        posted = result_of(module("bare", receiver.url, secret, str(events)), list[str])
        bare = receiver.report(secret)
        check += checked(posted, bare)
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


def _rate(receipts: Sequence[Receipt]) -> float:
    moments = [receipt.at for receipt in receipts]
    return (len(moments) - 1) / (max(moments) - min(moments))
