"""Breaks the server on purpose, in ways that a crash brings to light; each must be noticed in a few kills."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from chaos.campaign import Plan, carry_out
from mutants.run import Mutant, Slot, catalogue

ROUNDS = 30
_SETTLE_S = 10.0
_NAMES = Path(__file__).parent / "breakages.txt"


def chosen() -> list[Mutant]:
    """Give the mutants that a crash shows.

    Raises:
        LookupError: the list names one that there is not.
    """
    lines = [line.strip() for line in _NAMES.read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    known = {mutant.name: mutant for mutant in catalogue()}
    if unknown := [name for name in wanted if name not in known]:
        raise LookupError(f"no mutant is called {', '.join(unknown)}")
    return [known[name] for name in wanted]


async def try_all(
    only: Sequence[str], seed: int, database: str, folder: Path, say: Callable[[str], None]
) -> int:
    """Try each; give 1 if one was not noticed, or the sound program was found wanting."""
    mutants = [mutant for mutant in chosen() if not only or mutant.name in only]
    (folder / "copy").mkdir()
    slot = Slot(folder / "copy")
    plan = Plan(
        5,
        seed,
        database,
        _new(folder / "sound"),
        slot.folder / "src",
        is_checked_each=True,
        settle_s=_SETTLE_S,
    )
    sound = await carry_out(plan, lambda _: None)
    if sound.ledger.violations:
        say(f"without a mutant:\n{sound.ledger.complaint()}")
        return 1
    say(f"without a mutant: {len(sound.kills)} kills in {sound.seconds:.0f} s, and nothing is wrong")
    caught = [await _try(slot, mutant, replace(plan, kills=ROUNDS), folder, say) for mutant in mutants]
    say(f"{sum(caught)} of {len(mutants)} noticed")
    return int(not all(caught))


async def _try(slot: Slot, mutant: Mutant, plan: Plan, folder: Path, say: Callable[[str], None]) -> bool:
    if (fault := mutant.broken(slot.folder)) is not None:
        say(f"BROKEN PATTERN  {mutant.promise}: {mutant.name}: {fault}")
        return False
    with slot.broken_by(mutant):
        place = _new(folder / mutant.name.replace(" ", "_").replace("/", "_"))
        outcome = await carry_out(replace(plan, folder=place), lambda _: None)
    first = next(iter(outcome.ledger.violations), None)
    rounds = f"{len(outcome.kills):2} kills {outcome.seconds:5.1f} s  {mutant.promise}: {mutant.name}"
    say(f"NOT NOTICED  {rounds}" if first is None else f"noticed  {rounds}: {first}")
    return first is not None


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
