"""Kill after kill under load, and the verdict: once at the end, or after each kill."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos import board
from chaos.board import STAGES, Seen
from chaos.evidence import DATABASES, Evidence, unsettled
from chaos.ledger import Ledger
from chaos.load import Load
from chaos.process import NotStarted, Place, Server, settings, start
from chaos.receivers import Receivers, receiving
from chaos.verdict import judge

_SETTINGS = {
    "retry_base_s": 0.1,
    "retry_cap_s": 0.4,
    "throttle_s": 0.02,
    "probe_first_s": 0.1,
    "probe_longest_s": 0.4,
    "in_flight_per_origin": 16,
}
_TIMEOUT_S = 1.0
_EARLY = 0.15
"""The share of kills that come while the server starts."""

_EARLY_S = 0.1
_WORKING_S = (0.05, 1.2)
_SOON_S = (0.3, 0.8)
_POLL_S = 0.05
_LOOK_S = 0.002


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        kills: how many.
        seed: of all that is random here; what the machine does is not repeated by it.
        database: a name in DATABASES.
        folder: an empty one to work in.
        source: the folder of the package to run, if not the project's own.
        is_checked_each: everything has to settle and is judged after each kill.
        settle_s: how long it may take to settle.
    """

    kills: int
    seed: int
    database: str
    folder: Path
    source: Path | None = None
    is_checked_each: bool = False
    settle_s: float = 60.0


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        kills: what each one hit.
        ledger: what was asked for and what came.
        counts: what people did.
        attempts: recorded in the database at the end.
        seconds: how long it took.
    """

    kills: list[Seen]
    ledger: Ledger
    counts: dict[str, int]
    attempts: int = 0
    seconds: float = 0.0


class Campaign:
    """A plan being carried out."""

    def __init__(self, plan: Plan, receivers: Receivers, ledger: Ledger, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._ledger = ledger
        self._receivers = receivers
        self._say = say
        self._chance = random.Random(f"{plan.seed} kills")
        self._load = Load(ledger, receivers, random.Random(f"{plan.seed} load"))
        self._evidence = DATABASES[plan.database](plan.folder)
        self._place = _place(plan, self._evidence)
        self._server: Server | None = None
        self.outcome = Outcome([], ledger, self._load.counts)

    async def run(self) -> None:
        """Kill until the plan is done or something is wrong, then let all settle and judge."""
        try:
            while len(self.outcome.kills) < self._plan.kills and not self._ledger.violations:
                await self._round()
            if not self._ledger.violations:
                await self._last()
        finally:  # whatever ends it leaves no server behind
            await self._load.end()
            if self._server is not None:
                await self._server.kill()

    async def _round(self) -> None:
        server = self._server = await start(self._place)
        began = time.monotonic()
        if not self._plan.is_checked_each and self._chance.random() < _EARLY:
            await self._reach(server, self._chance.choice(STAGES))
            await asyncio.sleep(self._chance.uniform(0.0, _EARLY_S))
            await self._kill(server, began)
            return
        if await self._begin(server):
            if self._plan.is_checked_each and self.outcome.kills:
                await self._settle(server)
                self._receivers.storm()
            await asyncio.sleep(
                self._chance.uniform(*(_SOON_S if self._plan.is_checked_each else _WORKING_S))
            )
        await self._kill(server, began)
        await self._load.end()

    async def _reach(self, server: Server, stage: str) -> None:
        """Wait until the server is so far, or has ended."""
        wanted = STAGES.index(stage)
        while server.is_running and board.read(self._place.board).stage < wanted:  # noqa: ASYNC110 - a file
            await asyncio.sleep(_LOOK_S)

    async def _begin(self, server: Server) -> bool:
        """Wait for the server and set to work; False, with a violation, if it does not come."""
        try:
            await self._load.begin(await server.ready())
        except (NotStarted, TimeoutError) as error:
            self._ledger.wrong(str(error) or "the server did not start in time")
            return False
        return True

    async def _kill(self, server: Server, began: float) -> None:
        if not server.is_running:
            self._ledger.wrong("the server ended by itself")
        seen = await server.kill()
        self.outcome.kills.append(seen)
        self._say(f"kill {len(self.outcome.kills):3}  after {time.monotonic() - began:4.2f} s  {seen}")

    async def _settle(self, server: Server) -> None:
        """Wait until nothing is left to do, and judge."""
        await self._load.end()
        self._receivers.calm()
        end = time.monotonic() + self._plan.settle_s
        while (left := unsettled(self._evidence)) and not self._ledger.violations:
            if time.monotonic() > end:
                self._ledger.wrong(f"not settled after {self._plan.settle_s:g} s: {left}")
                return
            if not server.is_running:
                self._ledger.wrong("the server ended by itself")
                return
            await asyncio.sleep(_POLL_S)
        if not self._ledger.violations:
            judge(self._ledger, self._evidence)
        await self._load.begin(server.url)

    async def _last(self) -> None:
        server = self._server = await start(self._place)
        if await self._begin(server):
            await self._settle(server)
            await self._load.end()
            if await server.stop():
                self._ledger.wrong("the server did not drain")
        await server.kill()
        rows = self._evidence.rows("SELECT count(*) FROM attempts")
        self.outcome.attempts = int(rows[0][0])


def _place(plan: Plan, evidence: Evidence) -> Place:
    config = plan.folder / "ringback.toml"
    config.write_text(f"{settings(_SETTINGS)}[egress]\ntimeout_s = {_TIMEOUT_S}\n")
    return Place(plan.folder, (*evidence.arguments, "--config", str(config)), plan.source)


@asynccontextmanager
async def _world(plan: Plan, say: Callable[[str], None]) -> AsyncIterator[Campaign]:
    ledger = Ledger()
    async with receiving(ledger, random.Random(f"{plan.seed} receivers")) as receivers:
        yield Campaign(plan, receivers, ledger, say)


async def carry_out(plan: Plan, say: Callable[[str], None]) -> Outcome:
    """Carry out a plan; say a line for each kill. Violations stop it and are in the outcome's ledger."""
    began = time.monotonic()
    async with _world(plan, say) as campaign:
        with contextlib.suppress(asyncio.CancelledError):
            await campaign.run()
    campaign.outcome.seconds = time.monotonic() - began
    return campaign.outcome
