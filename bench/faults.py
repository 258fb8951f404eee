"""What is measured beside receivers that fail: each function is one run, as in bench/rows.py."""

from collections.abc import Sequence
from contextlib import ExitStack

from bench.creates import Created
from bench.load import PACE, Check, Sample, body_of, checked, create, patience, settled, warmed
from bench.processes import FAULTS, Receiver, Server, data_folder, receiving, serving
from bench.quantiles import quantile
from bench.receiver import Receipt

OF = 20
"""One event in so many goes to the URL that hangs: 5 %."""
HANGING = 7
"""Which one of them."""
FILLING = 2000
_LARGE = "so they rode on, " * 960
"""A prompt of 16 kB: so many of them are more than the database's page cache holds."""
RECOVERED_MS = 20.0
"""How long the receiver that was down takes for an answer."""


def hanging(command: Sequence[str], events: int) -> Sample:
    """5 % of the events go to a URL that hangs, at an origin of its own: what the others notice."""
    with receiving() as sick:
        return _hanging(command, events, sick)


def hanging_same_origin(command: Sequence[str], events: int) -> Sample:
    """The same when the URL that hangs has the healthy ones' host and port."""
    return _hanging(command, events, None)


def _hanging(command: Sequence[str], events: int, sick: Receiver | None) -> Sample:
    with data_folder() as folder, receiving() as receiver:
        data = folder / "data"
        with serving(command, data, "clock", mute=FAULTS) as server:
            secret = warmed(server, receiver, body_of("clock", receiver.url))
            urls = urls_of(receiver, sick or receiver)
            used = server.processor_s()
            made = create(server, [body_of("clock", url) for url in urls], events, PACE)
            used = server.processor_s() - used
            healthy = [id_ for number, id_ in enumerate(made.ids) if number % OF != HANGING]
            receiver.until(len(healthy), patience(events))
            server.stop()
        report = receiver.report(secret)
        held = report.held + (sick.report(secret).held if sick else 0)
        check = checked(healthy, report) + settled(data, receiver.url)
    return Sample(
        {**latencies(report.receipts), **_load(made, events, used), "attempts that hung": held}, check
    )


def urls_of(receiver: Receiver, sick: Receiver) -> list[str]:
    """Give the URLs of `OF` events: each healthy one is an endpoint of its own."""
    urls = [f"{receiver.url}/{number}" for number in range(OF)]
    urls[HANGING] = f"{sick.origin}/hang"
    return urls


def latencies(receipts: Sequence[Receipt]) -> dict[str, float]:
    """From completion to the first byte at the receiver; -1 where nothing came."""
    times = [receipt.at - receipt.output for receipt in receipts if receipt.output is not None] or [-1e-3]
    return {
        "p50 ms": quantile(times, 0.5) * 1e3,
        "p99 ms": quantile(times, 0.99) * 1e3,
        "max ms": max(times) * 1e3,
    }


def _load(made: Created, events: int, used: float) -> dict[str, float]:
    seconds = made.ended - made.started
    return {"predictions/s": (events - 1) / seconds, "server cpu %": used / seconds * 100}


def recovery(command: Sequence[str], events: int, *, down_s: float) -> Sample:
    """The receiver is down for `down_s` from the first create on; then all that waited goes out."""
    with data_folder() as folder, ExitStack() as stack:
        data = folder / "data"
        server = stack.enter_context(serving(command, data, "echo", mute=FAULTS))
        with receiving() as healthy:
            secret = warmed(server, healthy, body_of("echo", healthy.url))
        receiver = stack.enter_context(receiving(down=True))
        made = create(server, body_of("echo", receiver.url), events)
        server.until(made.ids[-1], "succeeded")
        back_at = receiver.come_back(made.started + down_s, RECOVERED_MS)
        receiver.until(events, patience(events) + 3 * down_s)
        server.stop()
        report = receiver.report(secret)
        check = checked(made.ids, report) + settled(data)
    return Sample(recovered(report.receipts, back_at), check)


def recovered(receipts: Sequence[Receipt], back_at: float) -> dict[str, float]:
    """How long it took since a receiver came back; -1 where nothing came."""
    moments = [receipt.at for receipt in receipts] or [back_at - 1]
    answered = min(moments) + RECOVERED_MS / 1e3
    return {
        "first request s": min(moments) - back_at,
        "all, since 1st answer s": max(0.0, max(moments) - answered),
    }


def restart(command: Sequence[str], events: int) -> Sample:
    """kill -9 while `events` are owed and no more attempts may be in flight; the next server sends them."""
    with data_folder() as folder, receiving() as receiver:
        data = folder / "data"
        with serving(command, data, "echo") as server:
            secret = warmed(server, receiver, body_of("echo", receiver.url))
            receiver.answer(-1)
            made = create(server, body_of("echo", receiver.url), events)
            server.until(made.ids[-1], "succeeded")
            cut_off = receiver.held(events, 0.5)
            server.kill()
        receiver.answer(0)
        with serving(command, data, "echo") as server:
            came = receiver.until(events, patience(events))
            server.stop()
        report = receiver.report(secret)
        check = checked(made.ids, report) + settled(data)
    moments = [receipt.at for receipt in report.receipts] or [server.ready_at - 1]
    return Sample(
        {
            "first, since ready s": min(moments) - server.ready_at,
            "last, since ready s": max(moments) - server.ready_at,
            "cut off by the kill": cut_off,
            "came": came,
        },
        check,
    )


def endless(command: Sequence[str], events: int) -> Sample:
    """Answers whose bodies never end, plain ones and gzip bombs by turns: what they do to the memory.

    Ordinary predictions fill the database's page cache first: it would fill with what is kept of the answers.
    """
    with data_folder() as folder, receiving() as receiver:
        data = folder / "data"
        with serving(command, data, "echo", mute=FAULTS) as server:
            secret = warmed(server, receiver, body_of("echo", receiver.url))
            ordinary = body_of("echo", receiver.url, _LARGE)
            check = _all_of(server, receiver, [ordinary], FILLING, secret)
            before = server.memory_mb()
            server.forget_peak()
            bodies = [body_of("echo", f"{receiver.origin}/{what}") for what in ("endless", "bomb")]
            check += _all_of(server, receiver, bodies, events, secret)
            peak, after = server.peak_mb(), server.memory_mb()
            server.stop()
        check += settled(data)
    return Sample(
        {"before MB": before, "most during MB": peak, "after MB": after, "grown by MB": peak - before}, check
    )


def _all_of(server: Server, receiver: Receiver, bodies: list[bytes], events: int, secret: str) -> Check:
    """Create so many by turns, and have them delivered."""
    made = create(server, bodies, events)
    receiver.until(events, patience(events))
    return checked(made.ids, receiver.report(secret))
