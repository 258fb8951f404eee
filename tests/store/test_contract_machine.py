"""Any predictions, receivers, crashes, clocks and wishes, in any order: what the delivery contract promises.

The steps go through the real store on a file; whatever happened before, in the end everybody answers, and
then nothing may be left. CONTRACT_EXAMPLES=2000 looks for so many others, and makes what fails small.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ringback.rules.attempt import Result
from ringback.rules.endpoint import WELL, HealthRules
from ringback.rules.prediction import EVENTS
from ringback.rules.retry import SECOND
from store.contract import Contract, prepared
from store.journal import Dispatcher, Place, Run
from store.world import BROKEN, GONE, OK, World, busy

T = TypeVar("T")

PLACES = [
    Place("http://a.example:80", "/hook"),
    Place("http://a.example:80", "/other"),
    Place("http://a.example:80", "/job/%d/done"),
    Place("http://b.example:80", "/hook"),
    Place("http://b.example:80", "/job/%d/done"),
]
MISSING = Result("status", "answered 404", 404, "", 1000)
UNFIT = Result("status", "answered 400", 400, "", 1000)
REFUSED = Result("connect", "connection refused", None, "", 1000)
HANGS = Result("timeout", "no answer within 15 s", None, "", 15 * SECOND)
STOPPED = Result("interrupted", "the server stopped", None, "", 1000)

places = st.sampled_from(PLACES)
numbers = st.integers(0, 99)
whom = st.none() | st.integers(0, 1)
kinds = st.sampled_from(["output", "logs"])
filters = st.sampled_from([frozenset(EVENTS), frozenset({"output", "completed"}), frozenset(EVENTS[:3])]) | (
    st.frozensets(st.sampled_from(EVENTS), min_size=1)
)
failures = st.sampled_from([BROKEN, REFUSED, HANGS, MISSING])
results = st.one_of(
    st.just(OK),
    failures,
    st.sampled_from([UNFIT, GONE, STOPPED]),
    st.sampled_from([0.0, 1.0, 30.0, 600.0, 9000.0, 1e7]).map(busy),
)
waits = st.sampled_from([0.001, 0.3, 1.0, 3.0, 10.0, 60.0, 600.0, 7300.0, 90000.0])


def nth(items: list[T], number: int) -> T:
    return items[number % len(items)]


class ContractMachine(RuleBasedStateMachine):
    """Drives a store with two dispatchers; `contract` judges each attempt as it begins."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.opening = prepared(Path(self.folder.name))
        self.world: World = self.loop.run_until_complete(self.opening.__aenter__())
        self.contract: Contract
        self.tick = 0  # microseconds between steps: none, for transactions that are committed together

    def do(self, step: Coroutine[Any, Any, T]) -> T:
        self.contract.journal.step += 1
        self.world.clock.now += self.tick
        return self.loop.run_until_complete(step)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None and hasattr(self, "contract"):
                self.do(self.in_the_end_nothing_is_left())
        finally:
            self.loop.run_until_complete(self.opening.__aexit__(None, None, None))
            self.loop.close()
            self.folder.cleanup()

    @initialize(
        total=st.sampled_from([8, 3, 1]),
        each=st.sampled_from([4, 32, 1]),
        close_after=st.sampled_from([2, 2, 5]),
        tick=st.integers(0, 1),
    )
    def open(self, total: int, each: int, close_after: int, tick: int) -> None:
        self.tick = tick
        self.contract = Contract(self.world, total, each, HealthRules(close_after=close_after))

    def dispatcher(self, number: int) -> Dispatcher:
        return nth(self.contract.dispatchers, number)

    def running(self) -> list[Run]:
        return [run for run in self.contract.runs if not run.ended]

    # What predictions do

    @rule(place=places, asked=filters, told=st.lists(kinds, max_size=3), to=whom)
    def create(self, place: Place, asked: frozenset[str], told: list[str], to: int | None) -> None:
        self.do(self.contract.create(place, asked))
        self.tell(self.contract.runs[-1], ["start", *told] if told else [], to)

    def tell(self, run: Run, told: list[str], to: int | None) -> None:
        dispatcher = None if to is None else self.dispatcher(to)
        for kind in told:
            self.do(self.contract.progress(run, kind if run.started else "start", dispatcher))

    @rule(place=places, count=st.integers(1, 7))
    def several_end(self, place: Place, count: int) -> None:
        for _ in range(count):
            self.do(self.contract.create(place, frozenset({"completed"})))
            self.do(self.contract.end(self.contract.runs[-1], "fail", None))

    @precondition(lambda self: self.running())
    @rule(number=numbers, told=st.lists(kinds, min_size=1, max_size=3), to=whom)
    def progress(self, number: int, told: list[str], to: int | None) -> None:
        self.tell(nth(self.running(), number), told, to)

    @precondition(lambda self: self.running())
    @rule(
        number=numbers,
        how=st.sampled_from(["succeed", "fail", "cancel"]),
        to=whom,
    )
    def end(self, number: int, how: str, to: int | None) -> None:
        dispatcher = None if to is None else self.dispatcher(to)
        self.do(self.contract.end(nth(self.running(), number), how, dispatcher))

    # What dispatchers do

    @rule(who=st.integers(0, 1))
    def claim(self, who: int) -> None:
        self.do(self.contract.claim(self.dispatcher(who)))

    def both_claim(self) -> None:
        for who in (0, 1):
            self.claim(who)

    @rule(number=numbers, answers=st.lists(results, min_size=1, max_size=4), go_on=st.booleans())
    def each_comes_to_something_else(self, number: int, answers: list[Result], go_on: bool) -> None:
        self.both_claim()
        for result in answers[: len(self.contract.flying)]:
            work = nth(self.contract.flying, number)
            self.do(self.contract.settle(self.of(work), work, result, go_on=go_on))
        self.both_claim()

    @rule(
        result=st.just(OK) | failures,
        rounds=st.integers(1, 8),
        go_on=st.booleans(),
        then=st.sampled_from(["it is over", "it goes on", "one crashes", "the other crashes"]),
    )
    def for_a_while_all_come_to(self, result: Result, rounds: int, go_on: bool, then: str) -> None:
        """An outage, or the end of one; over, or in its middle, where a dispatcher may die."""
        for place in range(rounds):
            self.to_next_due()
            self.both_claim()
            if place < rounds - 1 or then == "it is over":
                for work in self.contract.flying:
                    self.do(self.contract.settle(self.of(work), work, result, go_on=go_on))
        if "crashes" in then:
            self.one_or_all_crash(0 if then == "one crashes" else 1)
            self.both_claim()

    def of(self, work: Any) -> Dispatcher:
        return next(each for each in self.contract.dispatchers if work in each.flying)

    # What befalls them

    @rule(who=whom)
    def one_or_all_crash(self, who: int | None) -> None:
        crash = self.contract.reopen() if who is None else self.contract.crash([self.dispatcher(who)])
        self.do(crash)

    @precondition(lambda self: self.contract.ghosts)
    @rule(number=numbers, result=results)
    def a_dead_one_settles(self, number: int, result: Result) -> None:
        self.do(self.contract.haunt(nth(self.contract.ghosts, number), result))

    @rule(seconds=st.none() | waits)
    def time_passes(self, seconds: float | None) -> None:
        if seconds is None:
            self.to_next_due()
        else:
            self.world.wait(seconds)

    def to_next_due(self) -> None:
        self.world.clock.now = max(self.world.now, self.contract.next_due or 0)

    # What people do

    @precondition(lambda self: self.contract.runs)
    @rule(number=numbers, paused=st.booleans())
    def pause_or_resume(self, number: int, paused: bool) -> None:
        self.do(self.contract.put(nth(self.contract.runs, number).target, paused=paused))

    @rule(number=numbers, force=st.booleans())
    def resend(self, number: int, force: bool) -> None:
        self.do(self.contract.resend(number, force=force))

    @rule(per_s=st.sampled_from([0.01, 100.0]))
    def resend_dead(self, per_s: float) -> None:
        self.do(self.contract.resend_dead(per_s))

    @rule(seconds=st.sampled_from([0.0, 4000.0, 90000.0]))
    def the_house_is_kept(self, seconds: float) -> None:
        self.world.wait(seconds)
        self.do(self.contract.expire())
        self.do(self.contract.forget_idle())

    # What must hold whatever happens

    def rows(self, sql: str, *parameters: object) -> Any:
        return self.loop.run_until_complete(self.world.rows(sql, *parameters))

    @invariant()
    def one_attempt_of_a_prediction_is_in_flight_and_its_lane_is_held(self) -> None:
        held = self.rows("SELECT prediction_id, holder, fence FROM lanes WHERE holder IS NOT NULL ORDER BY 1")
        flying = sorted((work.prediction_id, work.holder, work.fence) for work in self.contract.flying)
        assert [tuple(row) for row in held] == flying

    @invariant()
    def a_closed_endpoint_has_one_probe_in_flight_at_most_and_knows_of_it(self) -> None:
        self.loop.run_until_complete(self.contract.probes_are_known())

    @invariant()
    def where_all_is_well_there_is_no_row(self) -> None:
        found = self.loop.run_until_complete(self.contract.endpoints())
        assert [each for each in found.values() if each.health == WELL and each.serve_at is None] == []

    @invariant()
    def nothing_on_a_shelf_is_forgotten(self) -> None:
        assert (
            self.rows(
                "SELECT l.prediction_id FROM lanes l LEFT JOIN endpoints e ON e.key = l.endpoint "
                "WHERE l.shelved AND l.holder IS NULL AND l.due_at IS NOT NULL AND e.serve_at IS NULL"
            )
            == []
        )

    @invariant()
    def what_is_pending_has_a_lane_that_is_due_when_it_is(self) -> None:
        assert (
            self.rows(
                "SELECT 1 FROM deliveries d LEFT JOIN lanes l ON l.prediction_id = d.prediction_id "
                "WHERE d.status = 'pending' AND l.due_at IS NULL AND l.holder IS NULL"
            )
            == []
        )

    @invariant()
    def the_newer_the_id_the_newer_what_it_shows(self) -> None:
        assert (
            self.rows(
                "SELECT 1 FROM deliveries a JOIN deliveries b ON b.prediction_id = a.prediction_id "
                "WHERE a.number < b.number AND a.upto > b.upto"
            )
            == []
        )

    @invariant()
    def no_completed_is_superseded(self) -> None:
        assert self.rows("SELECT 1 FROM deliveries WHERE event = 'completed' AND status = 'superseded'") == []

    @invariant()
    def what_is_dead_says_why(self) -> None:
        assert (
            self.rows("SELECT 1 FROM deliveries WHERE status = 'dead' AND attempts = 0 AND reason IS NULL")
            == []
        )

    async def in_the_end_nothing_is_left(self) -> None:
        contract, world = self.contract, self.world
        await contract.drain()
        assert await world.rows("SELECT 1 FROM deliveries WHERE status = 'pending'") == []
        owed = {run.hold.id for run in contract.runs if "completed" in run.asked}
        ended = await world.rows("SELECT prediction_id FROM deliveries WHERE event = 'completed'")
        assert {id_ for (id_,) in ended} == owed
        made = sorted((w.prediction_id, w.number, w.attempt) for _, w in contract.journal.begun)
        kept = await world.rows("SELECT prediction_id, number, attempt FROM attempts ORDER BY 1, 2, 3")
        assert [tuple(row) for row in kept] == made
        world.wait(2 * 86400)
        await contract.forget_idle()
        assert await contract.endpoints() == {}


EXAMPLES = os.environ.get("CONTRACT_EXAMPLES")
SETTINGS = settings(
    max_examples=int(EXAMPLES or 120),
    stateful_step_count=40,
    deadline=None,
    derandomize=EXAMPLES is None,
    database=None,
    phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_whatever_happens_nothing_is_lost_stuck_or_sent_backwards() -> None:
    run_state_machine_as_test(ContractMachine, settings=SETTINGS)
