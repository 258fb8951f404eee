"""Kill the server again and again under load, and check what its receivers saw.

make chaos KILLS=100 SEED=1
make chaos MUTANTS=1        each breakage of breakages.txt must be noticed within 30 kills
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path

# `python chaos/run.py` puts only chaos/ there
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from chaos.breakages import try_all
from chaos.campaign import Outcome, Plan, carry_out
from chaos.evidence import DATABASES
from chaos.process import ROOT

_WORK = ROOT / ".chaos"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how many [20]")
    parser.add_argument("--seed", type=int, default=1, help="of what is random [1]")
    parser.add_argument("--database", choices=DATABASES, default="sqlite", help="where the data is [sqlite]")
    parser.add_argument("--mutants", action="store_true", help="break it on purpose instead")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="these mutants alone")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, flush=True)


def summary(outcome: Outcome) -> str:
    """Give the figures in a few lines."""
    ledger, kills = outcome.ledger, outcome.kills
    hits = sum(seen.hits_both for seen in kills)
    did = ", ".join(f"{count} {what}" for what, count in outcome.counts.items())
    return (
        f"\n{len(kills)} kills in {outcome.seconds:.0f} s; "
        f"{hits} hit an attempt in flight and a pending commit, "
        f"{sum(seen.committing > 0 for seen in kills)} the commit itself\n"
        f"predictions: {did}\n"
        f"deliveries:  {len(ledger.events)} events came in {ledger.received} requests, "
        f"{ledger.duplicates} acknowledged more than once; {outcome.attempts} attempts recorded"
    )


async def chaos(told: argparse.Namespace, folder: Path) -> int:
    """Kill as told; give 1 if anything was lost, repeated with another body, or went backwards."""
    outcome = await carry_out(Plan(told.kills, told.seed, told.database, folder), _say)
    _say(summary(outcome))
    if outcome.ledger.violations:
        kept = shutil.copytree(folder, _WORK / "last", dirs_exist_ok=True)
        _say(f"VIOLATED (seed {told.seed}; data and log in {kept}):\n{outcome.ledger.complaint()}")
        return 1
    _say("nothing lost, nothing backwards, ids and bodies stable, every signature good")
    return 0


def main() -> int:
    """Give the exit code."""
    told = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes are ended all the same
    _WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_WORK, ignore_cleanup_errors=True) as folder:
        if told.mutants:
            return asyncio.run(try_all(told.only, told.seed, told.database, Path(folder), _say))
        return asyncio.run(chaos(told, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
