"""What dispatchers remember, and a journal of all the attempts that they begin, by which they are judged."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ringback.rules.endpoint import Target, endpoint_key
from ringback.store.attempts import Work
from ringback.store.claims import Claimed
from ringback.store.endpoints import Endpoint
from ringback.store.rooms import NEW_ROUND, Round
from ringback.store.subjects import Hold
from store.world import ACCOUNT


@dataclass(frozen=True)
class Place:
    """Where webhooks go; `%d` in the path makes each URL another."""

    origin: str
    path: str

    def key(self, path: str) -> str:
        return endpoint_key(ACCOUNT, f"{self.origin}{path}")


@dataclass
class Run:
    """A prediction, as its worker knows it."""

    hold: Hold
    target: Target
    asked: frozenset[str]
    started: bool = False
    ended: bool = False


@dataclass
class Dispatcher:
    """What a dispatcher remembers; a dead one's is forgotten."""

    holder: str
    flying: list[Work] = field(default_factory=list)
    after: str = ""
    walk: Round = NEW_ROUND
    later: dict[str, int] = field(default_factory=dict)

    def learn(self, claimed: Claimed, now: int) -> int | None:
        """Give when to claim again, from what this claim and those before it in the walk say; now: go on."""
        if self.walk == NEW_ROUND:
            self.later.clear()
        self.later.update(claimed.later)
        self.after, self.walk = claimed.after, claimed.round
        if self.walk != NEW_ROUND:
            return now
        return min((at for at in (*self.later.values(), claimed.shelf_due) if at is not None), default=None)

    def used(self) -> Counter[str]:
        return Counter(key for work in self.flying for key in (work.target.origin, work.target.endpoint))


@dataclass
class Journal:
    """What was begun, and what must hold of it. `step` tells apart what a microsecond does not."""

    step: int = 0
    begun: list[tuple[int, Work]] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)
    bodies: dict[tuple[str, int], bytes] = field(default_factory=dict)
    asked: set[tuple[str, int]] = field(default_factory=set)
    held_until: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    closed_in: dict[str, int] = field(default_factory=dict)
    begun_in: dict[tuple[str, int], int] = field(default_factory=dict)
    attempts: Counter[tuple[str, int]] = field(default_factory=Counter)

    def begin(self, work: Work) -> None:
        id_ = work.prediction_id, work.number
        assert self.bodies.setdefault(id_, work.body) == work.body, "one id, two bodies"
        newest = self.newest.get(work.prediction_id, 0)
        assert work.number >= newest or (work.asked and id_ in self.asked), "went backwards"
        self.newest[work.prediction_id] = max(newest, work.number)
        self.attempts[id_] += 1
        assert work.attempt == self.attempts[id_], "attempts are counted"
        assert work.begun_at >= self.held_until[work.target.endpoint], "begun before its Retry-After"
        self.begun_in[work.prediction_id, work.fence] = self.step
        self.begun.append((self.step, work))

    def turned(self, before: dict[str, Endpoint], after: dict[str, Endpoint]) -> None:
        """Note what was closed in this step."""
        for key, endpoint in after.items():
            closed_at = endpoint.health.closed_at
            if closed_at is not None and (key not in before or before[key].health.closed_at != closed_at):
                self.closed_in[key] = self.step

    def is_probe(self, work: Work, key: str) -> bool:
        """Whether an attempt began after its endpoint, or its origin, was closed."""
        begun = self.begun_in[work.prediction_id, work.fence]
        return key in (work.target.origin, work.target.endpoint) and begun > self.closed_in[key]
