"""Any prediction with any receiver: what must hold of its lane whatever happens, and in whichever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ringback.rules.attempt import Acknowledged, Failed, Gone, Verdict
from ringback.rules.lane import EMPTY, PARTIAL, Lane, Pending, Plan, advanced, due_at, flush, owe, settle
from ringback.rules.prediction import EVENTS, Event
from ringback.rules.retry import SECOND, Schedule

SCHEDULE = Schedule(base_s=1.0, cap_s=8.0, window_s=60.0)
WINDOW = SECOND // 2

verdicts = st.one_of(
    st.just(Acknowledged()), st.just(Gone()), st.builds(Failed, st.none() | st.floats(0, 1e6))
)


class LaneMachine(RuleBasedStateMachine):
    """Drives a lane as the store does: snapshots are numbers here, and a body is frozen when it is begun."""

    def __init__(self) -> None:
        super().__init__()
        self.lane: Lane = EMPTY
        self.now = 1000 * SECOND
        self.asked: frozenset[Event] = frozenset()
        self.started = self.ended = False
        self.snapshot = 0
        self.owed_snapshot = 0
        self.shows: dict[int, int] = {}
        self.events: dict[int, Event] = {}
        self.fate: dict[int, str] = {}
        self.sent: list[tuple[int, int]] = []
        self.body: dict[int, tuple[Event, int]] = {}

    @initialize(asked=st.sets(st.sampled_from(EVENTS), min_size=1))
    def create(self, asked: set[Event]) -> None:
        self.asked = frozenset(asked)

    def write(self, plan: Plan) -> None:
        for number in plan.superseded:
            assert self.fate[number] == "pending"
            assert self.events[number] != "completed", "completed was superseded"
            self.fate[number] = "superseded"
        for delivery in (plan.merged, plan.created):
            if delivery is not None:
                assert self.fate.get(delivery.number, "pending") == "pending"
                assert delivery.number not in self.body, "a frozen body was changed"
                self.shows[delivery.number] = self.snapshot
                self.events[delivery.number] = delivery.event
                self.fate[delivery.number] = "pending"
        if plan.created is not None:
            assert plan.created.number == self.lane.last_number + 1, "numbers only grow, by one"
        self.lane = advanced(self.lane, plan)

    def tell(self, event: Event) -> None:
        if event in self.asked:
            self.owed_snapshot = self.snapshot
            self.write(owe(self.lane, event, now=self.now, window_us=WINDOW))

    @precondition(lambda self: not self.started and not self.ended)
    @rule()
    def start(self) -> None:
        self.started = True
        self.snapshot += 1
        self.tell("start")

    @precondition(lambda self: self.started and not self.ended)
    @rule(event=st.sampled_from(["output", "logs"]))
    def progress(self, event: Event) -> None:
        self.snapshot += 1
        self.tell(event)

    @precondition(lambda self: not self.ended)
    @rule(last=st.sampled_from([None, "output", "logs"]))
    def end(self, last: Event | None) -> None:
        self.ended = True
        self.snapshot += 1
        if "completed" in self.asked:
            self.tell("completed")
            return
        if last is not None:
            self.tell(last)
        if self.asked & PARTIAL:
            self.write(flush(self.lane, now=self.now))

    @rule(us=st.integers(-SECOND, 20 * SECOND))
    def time_passes(self, us: int) -> None:
        """Backwards too: a wall clock may step."""
        self.now += us

    @precondition(lambda self: self.lane.pending and not self.lane.held)
    @rule()
    def begin(self) -> None:
        due = due_at(self.lane)
        assert due is not None
        self.now = max(self.now, due)
        head, *rest = self.lane.pending
        self.sent.append((head.number, self.shows[head.number]))
        body = self.events[head.number], self.shows[head.number]
        assert self.body.setdefault(head.number, body) == body, "one id, two bodies"
        begun = Pending(head.number, head.event, head.attempts + 1, head.due_at, head.created_at)
        self.lane = self.relaid((begun, *rest), self.lane.not_before, held=True)

    def relaid(self, pending: tuple[Pending, ...], not_before: int, *, held: bool) -> Lane:
        return Lane(pending, self.lane.last_number, self.lane.window_until, not_before, held)

    @precondition(lambda self: self.lane.held)
    @rule(verdict=verdicts, jitter=st.floats(-1, 1))
    def answer(self, verdict: Verdict, jitter: float) -> None:
        head, *rest = self.lane.pending
        found = settle(self.lane.pending, verdict, SCHEDULE, now=self.now, jitter=jitter)
        if found.end is None:
            assert found.retry_at is not None
            again = Pending(head.number, head.event, head.attempts, found.retry_at, head.created_at)
            left: tuple[Pending, ...] = (again,)
            assert not rest, "a failed head stood in the way of newer ones"
            assert found.retry_at <= head.created_at + 60 * SECOND
        else:
            assert found.end != "superseded" or head.event != "completed"
            assert found.end != "superseded" or rest
            self.fate[head.number] = found.end
            left = tuple(rest)
        self.lane = self.relaid(left, found.not_before, held=False)
        assert due_at(self.lane) == found.due_at

    @invariant()
    def the_head_is_the_oldest_and_only_it_was_attempted(self) -> None:
        numbers = [delivery.number for delivery in self.lane.pending]
        assert numbers == sorted(set(numbers))
        assert numbers == [number for number, fate in sorted(self.fate.items()) if fate == "pending"]
        assert all(delivery.attempts == 0 for delivery in self.lane.pending[1:])

    @invariant()
    def at_most_one_partial_can_be_updated(self) -> None:
        waiting = [d for d in self.lane.pending if d.event in PARTIAL and d.attempts == 0]
        assert len(waiting) <= 1

    @invariant()
    def there_is_one_completed_at_most_and_it_is_the_last(self) -> None:
        numbers = [number for number, event in self.events.items() if event == "completed"]
        assert len(numbers) <= 1
        assert not numbers or numbers == [max(self.events)]

    @invariant()
    def nothing_that_was_begun_goes_backwards(self) -> None:
        assert self.sent == sorted(self.sent)

    @invariant()
    def the_newest_snapshot_is_never_lost(self) -> None:
        """It is shown by a delivery that is pending or came to an end of its own."""
        if self.shows:
            newest = max(self.shows)
            assert self.shows[newest] >= self.owed_snapshot
            assert self.fate[newest] in ("pending", "delivered", "dead")


LaneMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestLane = LaneMachine.TestCase
