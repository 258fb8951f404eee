"""Measure what Ringback does on this machine: `make bench`, shorter with ARGS="--runs 1 --only burst".

Driver, receiver and server are processes of their own, and the server runs with the defaults it ships with.
`make bench PEERS=1` also measures what people use instead, where that can be installed.
"""

import argparse
import shlex
import signal
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

# `python bench/run.py` puts only bench/ there
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.backlog import backlog
from bench.faults import endless, hanging, hanging_same_origin, recovery, restart
from bench.load import Check, Sample
from bench.machine import machine
from bench.peers.install import Missing
from bench.peers.rows import rows as peers_rows
from bench.peers.running import PEERS
from bench.processes import DATA, ROOT, SERVER
from bench.report import Row, document, table
from bench.rows import ROWS

_RESULTS = ROOT / "bench" / "results.jsonl"
Run = Callable[[int], Sample]
"""One run with so many events."""

_EVENTS = {
    **dict.fromkeys([*ROWS, "hanging", "hanging-same-origin"], 3000),
    "recovery": 1000,
    "restart": 500,
    "endless": 600,
    "backlog": 1500,
}
"""Events in a run, by row."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each row; the median counts [5]")
    parser.add_argument("--events", type=int, help="events in a run [3000; 500 to 1500 in some rows]")
    parser.add_argument("--only", action="append", choices=_EVENTS, help="this row; may be given again")
    parser.add_argument("--down", type=float, default=60, help="recovery: seconds the receiver is down [60]")
    parser.add_argument("--waiting", type=int, default=100_000, help="backlog: how many wait [100000]")
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS, help="measure what people use instead, too; these or all"
    )
    parser.add_argument("--save", action="store_true", help=f"append the result to {_RESULTS.name}")
    parser.add_argument(
        "--server",
        default=shlex.join(SERVER),
        help="the command that stands for `ringback`, to put a profiler in front",
    )
    return parser.parse_args()


def _runs(told: argparse.Namespace) -> dict[str, tuple[Run, int]]:
    """Give what is asked for by row, with the events in a run; a peer's row is named after both."""
    command = shlex.split(told.server)
    own: dict[str, Callable[[list[str], int], Sample]] = {
        **ROWS,
        "hanging": hanging,
        "hanging-same-origin": hanging_same_origin,
        "recovery": partial(recovery, down_s=told.down),
        "restart": restart,
        "endless": endless,
        "backlog": partial(backlog, waiting=told.waiting),
    }
    peers = {} if told.peers is None else peers_rows(told.peers or list(PEERS), told.down)
    found: dict[str, tuple[Run, int]] = {}
    for name in own if told.only is None else [each for each in own if each in told.only]:
        events = told.events or _EVENTS[name]
        found[name] = partial(own[name], command), events
        found |= {f"{name} {peer}": (run, events) for peer, run in peers.get(name, {}).items()}
    return found


def _measure(name: str, run: Run, runs: int, events: int) -> Row:
    samples: list[Sample] = []
    for number in range(1, runs + 1):
        sample = run(events)
        samples.append(sample)
        shown = "  ".join(f"{what} {value:,.1f}" for what, value in sample.figures.items())
        print(f"{name} {number}/{runs}: {shown}", file=sys.stderr, flush=True)
    check = sum((sample.check for sample in samples), Check())
    by_name = {what: [sample.figures[what] for sample in samples] for what in samples[0].figures}
    medians = {what: statistics.median(values) for what, values in by_name.items()}
    spans = {what: (min(values), max(values)) for what, values in by_name.items()}
    return Row(name, runs, events, medians, spans, check)


def main() -> int:
    """Measure what is asked for; give 1 if anything of Ringback's was bad, missing or came twice."""
    told = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes are ended all the same
    here = machine()
    rows = []
    for name, (run, events) in _runs(told).items():
        try:
            rows.append(_measure(name, run, told.runs, events))
        except Missing as missing:
            print(f"{name}: skipped: {missing}", file=sys.stderr, flush=True)
    print(table(here, rows))
    print(document(here, rows))
    if told.save:
        with _RESULTS.open("a") as results:
            print(document(here, rows), file=results)
    return int(any(row.check != Check() for row in rows if row.name in _EVENTS))


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        if DATA.exists() and not any(DATA.iterdir()):
            DATA.rmdir()
