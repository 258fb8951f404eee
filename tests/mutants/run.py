"""Break each promise on purpose; the tests that guard it must fail.

A mutant (in the *.toml files here, each about one promise) is a small breakage of the source, with the tests
that must notice it; docs/promises.md lists them all. They run in a copy of the project that is broken in this
way; first, all of them run in copies that are not. A promise whose mutant survives is not kept, whatever its
tests say.

    python tests/mutants/run.py [--list] [--page] [--only NAME ...] [--why]
"""

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WORK = ROOT / ".mutants"
PAGE = ROOT / "docs/promises.md"
PACKAGE = Path("src/ringback")
LIMIT_S = 120.0
"""A test that takes longer than this has noticed nothing: it hangs."""

_COPIED = ("src", "tests", "demo")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", ".*")
_LINKED = ("tests/clients/node_modules", ".clients", ".venv")
_MARK = "RINGBACK_MUTANTS"
_TESTS_FAILED = 1
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
_FAILED = re.compile(r"^FAILED tests/(.+?)(?: - (.*))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A breakage.

    Attributes:
        name: what it breaks, in a few words.
        promise: the promise it breaks.
        file: where, below the package's folder.
        edits: pairs of the text to replace, which occurs once in the file, and its replacement.
        tests: the ids of the tests that must fail, each of them, below the folder of the tests.
    """

    name: str
    promise: str
    file: str
    edits: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]

    def broken(self, root: Path) -> str | None:
        """Say why it can't be applied any more, or give None."""
        path = root / PACKAGE / self.file
        text = path.read_text() if path.is_file() else ""
        for old, _ in self.edits:
            if text.count(old) != 1:
                places = [each for each in _sources(root) if old in each.read_text()]
                found = ", ".join(str(each.relative_to(root / PACKAGE)) for each in places) or "nowhere"
                line = old.strip().splitlines()[0]
                return f"{self.file} has {text.count(old)} of `{line}`, which is in: {found}"
        return None


def _sources(root: Path) -> list[Path]:
    return sorted(path for kind in ("*.py", "*.sql") for path in (root / PACKAGE).rglob(kind))


def catalogue(folder: Path = HERE) -> list[Mutant]:
    """Read all mutants, in the order of the promises."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        document = tomllib.loads(path.read_text())
        for item in document["mutant"]:
            edits = [item, *item.get("more", [])]
            found.append(
                Mutant(
                    item["name"],
                    document["promise"],
                    item["file"],
                    tuple((edit["old"], edit["new"]) for edit in edits),
                    tuple(item["tests"]),
                )
            )
    return found


def page(text: str, mutants: Sequence[Mutant]) -> str:
    """Give the page of the promises with its tables made anew from the mutants.

    Args:
        text: the page, with a heading of the second level and a table for each promise.
        mutants: what the tables say, in order.

    Raises:
        ValueError: there is no heading, or no table under it, for the promise of a mutant.
    """
    for promise in dict.fromkeys(mutant.promise for mutant in mutants):
        table = _table([mutant for mutant in mutants if mutant.promise == promise])
        before, heading, rest = text.partition(f"\n## {promise}\n")
        section, following, others = rest.partition("\n## ")
        if not _TABLE.search(section):
            raise ValueError(f"the page has no table under: ## {promise}")
        lines = _TABLE.split(section, maxsplit=1)
        text = before + heading + table.join(lines) + following + others
    return text


def _table(mutants: Sequence[Mutant]) -> str:
    lines = ["| broken on purpose | where | noticed by |", "|---|---|---|"]
    for mutant in mutants:
        tests = ", ".join(f"`{test}`" for test in mutant.tests)
        lines.append(f"| {mutant.name} | `{mutant.file}` | {tests} |")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What pytest came to: its exit code (None: killed at the limit), the tests that failed and why."""

    code: int | None
    failed: dict[str, str]
    seconds: float
    output: str

    def unnoticed_by(self, tests: Sequence[str]) -> list[str]:
        """Which of the tests did not fail. Other exit codes than 1 mean that pytest itself had trouble."""
        if self.code != _TESTS_FAILED:
            return list(tests)
        return [test for test in tests if not any(_is_of(test, failed) for failed in self.failed)]


def _is_of(test: str, failed: str) -> bool:
    return failed == test or failed.startswith(f"{test}[")


def parse_failures(output: str) -> dict[str, str]:
    """Give the failed tests of pytest's short summary, named as in a mutant, and the reasons it gives."""
    return {name: reason or "" for name, reason in _FAILED.findall(output)}


class Slot:
    """A copy of the project in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        """Copy the project to `folder`, which is empty."""
        self.folder = folder
        for name in _COPIED:
            shutil.copytree(ROOT / name, folder / name, ignore=_LEFT_OUT)
        shutil.copy2(ROOT / "pyproject.toml", folder)
        for name in _LINKED:
            (folder / name).symlink_to(ROOT / name)
        self._edits = 0
        self._env = {
            **os.environ,
            "PYTHONPATH": str(folder / "src"),
            "CI": "1",  # pytest then cuts no line short
            _MARK: str(folder),
        }

    def imported(self) -> Path:
        """Where a process started here gets the package from."""
        command = [sys.executable, "-c", "import ringback; print(ringback.__file__)"]
        done = subprocess.run(
            command, cwd=self.folder, env=self._env, check=True, capture_output=True, text=True
        )
        return Path(done.stdout.strip())

    @contextlib.contextmanager
    def broken_by(self, mutant: Mutant) -> Iterator[None]:
        """Have the mutant's breakage in the source for a while."""
        path = self.folder / PACKAGE / mutant.file
        text, times = path.read_text(), path.stat()
        broken = text
        for old, new in mutant.edits:
            broken = broken.replace(old, new)
        path.write_text(broken)
        # Compiled modules are told apart by size and time in seconds: a time of its own for each breakage.
        self._edits += 1
        os.utime(path, (times.st_atime, times.st_mtime + self._edits))
        try:
            yield
        finally:
            path.write_text(text)
            os.utime(path, (times.st_atime, times.st_mtime))

    async def run(self, tests: Sequence[str], limit_s: float = LIMIT_S) -> Outcome:
        """Run tests, named as in a mutant."""
        options = ["-q", "--tb=short", "-rfE", "-p", "no:cacheprovider", f"--basetemp={self.folder / 'tmp'}"]
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)),
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output = ""
        try:
            async with asyncio.timeout(limit_s):
                output = (await process.communicate())[0].decode(errors="replace")
            code = process.returncode
        except TimeoutError:
            code = None
        finally:
            self._end_all()
            await process.wait()
        return Outcome(code, parse_failures(output), time.monotonic() - started, output)

    def _end_all(self) -> None:
        """Kill whatever was started here and is still there: a mutant may have broken what ends it."""
        mark = f"{_MARK}={self.folder}".encode()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)


async def sound(slots: Sequence[Slot], mutants: Sequence[Mutant]) -> bool:
    """Check that each copy is what its processes import, and that all the tests pass without a mutant."""
    for slot in slots:
        if not slot.imported().is_relative_to(slot.folder):
            print(f"processes in {slot.folder} import ringback from {slot.imported()}")
            return False
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    shares = [(slot, tests[place :: len(slots)]) for place, slot in enumerate(slots)]
    outcomes = await asyncio.gather(*(slot.run(share, 10 * LIMIT_S) for slot, share in shares if share))
    for outcome in outcomes:
        if outcome.code != 0:
            print(outcome.output)
    seconds = max(outcome.seconds for outcome in outcomes)
    print(f"{len(tests)} tests without a mutant: {seconds:.0f} s", flush=True)
    return all(outcome.code == 0 for outcome in outcomes)


async def try_mutant(slot: Slot, mutant: Mutant, *, why: bool) -> bool:
    """Try one, say what came of it, and give whether all its tests noticed it."""
    fault = mutant.broken(slot.folder)
    if fault is not None:
        print(f"BROKEN PATTERN  {mutant.promise}: {mutant.name}: {fault}", flush=True)
        return False
    with slot.broken_by(mutant):
        outcome = await slot.run(mutant.tests)
    missed = outcome.unnoticed_by(mutant.tests)
    if missed:
        how = "killed at the limit" if outcome.code is None else f"pytest's exit code {outcome.code}"
        print(f"SURVIVED        {mutant.promise}: {mutant.name}: {how}; not noticed by {', '.join(missed)}")
    else:
        names = ", ".join(mutant.tests)
        print(f"caught {outcome.seconds:5.1f} s  {mutant.promise}: {mutant.name}: by {names}")
    if missed and not outcome.failed:
        print(outcome.output)
    if missed or why:
        print(*(f"    {name}: {reason}" for name, reason in outcome.failed.items()), sep="\n")
    sys.stdout.flush()
    return not missed


async def try_all(mutants: Sequence[Mutant], jobs: int, *, why: bool) -> int:
    """Try the mutants, `jobs` at a time; give how many were not caught, -1 if the tests fail without any."""
    WORK.mkdir(exist_ok=True)
    waiting, caught = list(reversed(mutants)), []
    with tempfile.TemporaryDirectory(dir=WORK, ignore_cleanup_errors=True) as folder:
        slots = []
        for number in range(jobs):
            (Path(folder) / str(number)).mkdir()
            slots.append(Slot(Path(folder) / str(number)))
        if not await sound(slots, [mutant for mutant in mutants if mutant.broken(ROOT) is None]):
            return -1

        async def work(slot: Slot) -> None:
            while waiting:
                caught.append(await try_mutant(slot, waiting.pop(), why=why))

        await asyncio.gather(*(work(slot) for slot in slots))
    return caught.count(False)


def main() -> int:
    """Give the exit code: 0 if each mutant was caught."""
    parser = argparse.ArgumentParser(description="Break each promise on purpose; its tests must notice.")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--page", action="store_true", help="write the tables of docs/promises.md anew")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="these mutants alone")
    parser.add_argument("--why", action="store_true", help="show how each test failed")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    options = parser.parse_args()
    mutants = [each for each in catalogue() if not options.only or each.name in options.only]
    if unknown := set(options.only) - {each.name for each in mutants}:
        parser.error(f"no mutant is called {', '.join(sorted(unknown))}")
    if options.page:
        PAGE.write_text(page(PAGE.read_text(), catalogue()))
        return 0
    if options.list:
        for each in mutants:
            print(f"{each.promise}: {each.name} ({each.file})")
        return 0
    started = time.monotonic()
    missed = asyncio.run(try_all(mutants, min(options.jobs, len(mutants)), why=options.why))
    if missed >= 0:
        print(f"{len(mutants) - missed} of {len(mutants)} caught in {time.monotonic() - started:.0f} s")
    return int(missed != 0)


if __name__ == "__main__":
    sys.exit(main())
