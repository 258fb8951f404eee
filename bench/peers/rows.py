"""The rows of bench/faults.py for a peer: the same load, the same receivers, the same figures.

A peer's time begins when its enqueuing program is about to enqueue; Ringback's when the model returns.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

from bench.faults import HANGING, OF, RECOVERED_MS, latencies, recovered, urls_of
from bench.load import PACE, Check, Sample, patience
from bench.peers.running import PEERS, SECRET, Line, Peer
from bench.processes import Receiver, data_folder, receiving
from bench.receiver import Report

_PADDING = "and so they rode on. " * 70


def _body(id_: str) -> dict[str, object]:
    """Give a prediction of 2 kB that has ended."""
    return {
        "id": id_,
        "status": "succeeded",
        "version": "0" * 64,
        "input": {"prompt": "an astronaut riding a rainbow unicorn, cinematic", "seed": 42},
        "logs": _PADDING,
        "error": None,
        "metrics": {"predict_time": 1.23},
        "output": None,
    }


def hanging(peer: Peer, events: int) -> Sample:
    """5 % of the events go to a URL that hangs, at an origin of its own."""
    with receiving() as sick:
        return _hanging(peer, events, sick)


def hanging_same_origin(peer: Peer, events: int) -> Sample:
    """The same when the URL that hangs has the healthy ones' host and port."""
    return _hanging(peer, events, None)


def _hanging(peer: Peer, events: int, sick: Receiver | None) -> Sample:
    with data_folder() as folder, receiving() as receiver, peer(folder) as line:
        _warm(line, receiver)
        urls = urls_of(receiver, sick or receiver)
        seconds = _enqueue(line, urls, events, PACE)
        healthy = [_id(number) for number in range(events) if number % OF != HANGING]
        receiver.until(len(healthy), patience(events))
        report = receiver.report(SECRET)
        held = report.held + (sick.report(SECRET).held if sick else 0)
    return Sample(
        {
            **latencies(report.receipts),
            "predictions/s": (events - 1) / seconds,
            "attempts that hung": held,
        },
        _checked(healthy, report),
    )


def recovery(peer: Peer, events: int, *, down_s: float) -> Sample:
    """The receiver is down for `down_s` from the first event on."""
    with data_folder() as folder, receiving(down=True) as receiver, peer(folder) as line:
        with receiving() as healthy:
            _warm(line, healthy)
        started = time.time()
        _enqueue(line, [receiver.url], events, 0)
        back_at = receiver.come_back(started + down_s, RECOVERED_MS)
        receiver.until(events, patience(events) + 3 * down_s)
        report = receiver.report(SECRET)
    return Sample(
        recovered(report.receipts, back_at), _checked([_id(number) for number in range(events)], report)
    )


def _id(number: int) -> str:
    return f"evt_{number}"


def _warm(line: Line, receiver: Receiver) -> None:
    line.enqueue(receiver.url, "evt_first", _body("first"))
    if not receiver.until(1, patience(1)):
        raise TimeoutError("the first webhook does not come")
    receiver.report(SECRET)


def _enqueue(line: Line, urls: Sequence[str], events: int, per_second: float) -> float:
    """Enqueue so many, for these URLs in turn; give the seconds from the first to the last."""
    started = last = time.time()
    for number in range(events):
        moment = started + number / per_second if per_second else 0.0
        time.sleep(max(0.0, moment - time.time()))
        last = time.time()
        line.enqueue(urls[number % len(urls)], _id(number), _body(str(number)))
    line.end()
    return last - started


def _checked(ids: Sequence[str], report: Report) -> Check:
    came = [receipt.id for receipt in report.receipts]
    strange = len(set(came) - set(ids))
    return Check(report.bad + strange, len(set(ids) - set(came)), len(came) - len(set(came)))


def rows(names: Sequence[str], down_s: float) -> dict[str, dict[str, Callable[[int], Sample]]]:
    """Give each row that peers have, by the names of these peers; each takes the events in a run."""
    peers = {name: PEERS[name] for name in names}
    return {
        "hanging": {name: partial(hanging, peer) for name, peer in peers.items()},
        "hanging-same-origin": {name: partial(hanging_same_origin, peer) for name, peer in peers.items()},
        "recovery": {name: partial(recovery, peer, down_s=down_s) for name, peer in peers.items()},
    }
