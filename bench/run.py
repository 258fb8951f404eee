"""Measure what Ringback does on this machine: `make bench`, shorter with ARGS="--runs 1 --only burst".

Driver, receiver and server are processes of their own, and the server runs with the defaults it ships with.
"""

import argparse
import shlex
import signal
import statistics
import sys
from pathlib import Path

# `python bench/run.py` puts only bench/ there
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.machine import machine
from bench.processes import DATA, ROOT, SERVER
from bench.report import Row, document, table
from bench.rows import ROWS, Check, Sample

_RESULTS = ROOT / "bench" / "results.jsonl"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each row; the median counts [5]")
    parser.add_argument("--events", type=int, default=3000, help="events in a run [3000]")
    parser.add_argument("--only", action="append", choices=ROWS, help="this row; may be given again")
    parser.add_argument("--save", action="store_true", help=f"append the result to {_RESULTS.name}")
    parser.add_argument(
        "--server",
        default=shlex.join(SERVER),
        help="the command that stands for `ringback`, to put a profiler in front",
    )
    return parser.parse_args()


def _measure(name: str, command: list[str], runs: int, events: int) -> Row:
    samples: list[Sample] = []
    for number in range(1, runs + 1):
        sample = ROWS[name](command, events)
        samples.append(sample)
        shown = "  ".join(f"{what} {value:,.1f}" for what, value in sample.figures.items())
        print(f"{name} {number}/{runs}: {shown}", file=sys.stderr, flush=True)
    check = sum((sample.check for sample in samples), Check())
    by_name = {what: [sample.figures[what] for sample in samples] for what in samples[0].figures}
    medians = {what: statistics.median(values) for what, values in by_name.items()}
    spans = {what: (min(values), max(values)) for what, values in by_name.items()}
    return Row(name, runs, events, medians, spans, check)


def main() -> int:
    """Measure what is asked for; give 1 if anything was bad, missing or came twice."""
    told = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes are ended all the same
    here = machine()
    rows = [
        _measure(name, shlex.split(told.server), told.runs, told.events)
        for name in ROWS
        if told.only is None or name in told.only
    ]
    print(table(here, rows))
    print(document(here, rows))
    if told.save:
        with _RESULTS.open("a") as results:
            print(document(here, rows), file=results)
    return int(any(row.check != Check() for row in rows))


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        if DATA.exists() and not any(DATA.iterdir()):
            DATA.rmdir()
