"""A dispatcher in few words: claims as the real one does, and receivers that answer as a test says."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ringback.rules.attempt import Result
from ringback.rules.retry import SECOND
from ringback.store import claims, settlements
from ringback.store.attempts import Work
from ringback.store.claims import Claimed
from ringback.store.lanes import Owed
from ringback.store.rooms import NEW_ROUND, Rooms, Round
from ringback.store.runs import Ending
from store.world import LINKS, ORIGIN, SETTLING, World, hook

REFUSED = Result("connect", "connection refused", None, "", 1000)
HANGS = Result("timeout", "no answer within 15 s", None, "", 15 * SECOND)
MISSING = Result("status", "answered 404", 404, "", 1000)
UNFIT = Result("status", "answered 400", 400, "", 1000)

Answers = Callable[[Work], Result]


@dataclass
class Outage:
    """Claims and settles; `flying` are the attempts under way, `made` all there were with their times."""

    world: World
    total: int = 512
    each: int = 32
    holder: str = "dispatcher_1"
    flying: list[Work] = field(default_factory=list)
    made: list[tuple[int, Work]] = field(default_factory=list)
    after: str = ""
    walk: Round = NEW_ROUND

    async def owing(self, count: int = 1, *, origin: str = ORIGIN, path: str = "/hook") -> None:
        """Predictions that owe a `completed`; `%d` in the path becomes a number."""
        for number in range(count):
            await self.world.create(hook("completed", origin=origin, path=path.replace("%d", str(number))))
        for claim in await self.world.claim(count):
            await self.world.end(claim.hold, Ending("fail", error="x"))

    def rooms(self) -> Rooms:
        used: Counter[str] = Counter()
        for work in self.flying:
            used[work.target.origin] += 1
            used[work.target.endpoint] += 1
        return Rooms(self.total - len(self.flying), self.each, used, self.after, self.walk, self.total // 4)

    async def claim(self) -> list[Work]:
        """Begin what may begin now, in one round."""
        begun: list[Work] = []
        while True:
            claimed = await self._claim()
            begun += claimed.works
            if claimed.round == NEW_ROUND or len(self.flying) >= self.total:
                return begun

    async def _claim(self) -> Claimed:
        rooms = self.rooms()
        claimed = await self.world.database.write(lambda tx: claims.claim(tx, self.holder, rooms, LINKS))
        self.after, self.walk = claimed.after, claimed.round
        for work in claimed.works:
            self._begin(work)
        return claimed

    def _begin(self, work: Work) -> None:
        self.flying.append(work)
        self.made.append((self.world.now, work))

    async def settle(self, work: Work, result: Result, *, go_on: bool = False) -> Owed:
        """End an attempt."""
        owed = await self.world.database.write(
            lambda tx: settlements.settle(tx, work, result, SETTLING, 0.0, go_on=go_on)
        )
        self.flying.remove(work)
        if owed.work is not None:
            self._begin(owed.work)
        return owed

    async def answer(self, answers: Answers, *, go_on: bool = False) -> int:
        """End all that are under way; give how many there were."""
        ended = list(self.flying)
        for work in ended:
            await self.settle(work, answers(work), go_on=go_on)
        return len(ended)

    async def run(self, answers: Answers, seconds: float, step: float = 0.5) -> int:
        """Let time pass: whatever begins is answered at once; give how many attempts there were."""
        count = 0
        for _ in range(int(seconds / step)):
            while await self.claim():
                count += await self.answer(answers)
            self.world.wait(step)
        return count

    async def waiting(self) -> int:
        return int((await self.world.row("SELECT count(*) FROM deliveries WHERE status = 'pending'"))[0])

    async def rows(self) -> list[str]:
        return [row[0] for row in await self.world.rows("SELECT key FROM endpoints ORDER BY key")]
