"""`make chaos` works: a short run of it, and its list of breakages."""

import subprocess
import sys

from mutants.run import ROOT, catalogue


def test_a_few_kills_at_random_lose_nothing() -> None:
    command = [sys.executable, str(ROOT / "chaos/run.py"), "--kills", "2", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("kill ") == 2
    assert done.stdout.endswith(
        "nothing lost, nothing backwards, ids and bodies stable, every signature good\n"
    )


def test_each_breakage_that_chaos_tries_is_a_mutant_that_there_is() -> None:
    lines = (ROOT / "chaos/breakages.txt").read_text().splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    known = {mutant.name for mutant in catalogue()}
    assert len(names) > 10
    assert [name for name in names if name not in known] == []
