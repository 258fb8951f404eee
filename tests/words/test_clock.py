"""The server's time goes on, at nearly its own pace, whatever becomes of the wall clock."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.words.clock import CLOSE, FOLLOWED, NOTED, STAYS, SteadyClock, correction

SECOND = 1_000_000
HOUR = 3600 * SECOND
START = 1_700_000_000 * SECOND


@dataclass
class Machine:
    """Two clocks that the test moves: one steps, the other can't."""

    wall: int = START
    boot: int = 12345
    told: list[tuple[int, int]] = field(default_factory=list)

    def clock(self) -> SteadyClock:
        return SteadyClock(
            lambda: self.wall, lambda: self.boot, lambda step, ahead: self.told.append((step, ahead))
        )

    def wait(self, us: int) -> None:
        self.wall += us
        self.boot += us

    def step(self, us: int) -> None:
        self.wall += us


def drifted(clock: SteadyClock, machine: Machine) -> int:
    return clock() - machine.wall


waits = st.integers(0, 3 * HOUR)
minutes = st.integers(0, 600 * SECOND)
steps = st.integers(-FOLLOWED, FOLLOWED) | st.integers(-SECOND, SECOND)


def test_on_a_good_clock_it_is_the_wall_clock() -> None:
    machine = Machine()
    clock = machine.clock()
    for wait in (0, 1, 7, 1000, SECOND, HOUR, 30 * 24 * HOUR):
        machine.wait(wait)
        assert clock() == machine.wall
    assert machine.told == []


@given(st.lists(st.tuples(waits, st.integers(-(10**17), 10**17) | steps), max_size=30))
def test_it_never_goes_backwards(turns: list[tuple[int, int]]) -> None:
    machine = Machine()
    clock = machine.clock()
    last = clock()
    for wait, step in turns:
        machine.wait(wait)
        machine.step(step)
        now = clock()
        assert now >= last
        last = now


@given(st.lists(st.tuples(st.integers(0, HOUR), st.integers(-(10**16), 10 * SECOND)), max_size=30))
def test_no_wait_is_more_than_a_tenth_longer_or_shorter(turns: list[tuple[int, int]]) -> None:
    """Unless the wall clock is so far ahead that it is followed."""
    machine = Machine()
    clock = machine.clock()
    for wait, step in turns:
        before = clock()
        machine.wait(wait)
        machine.step(step)
        assert wait - wait // 11 <= clock() - before <= wait + wait // 10


@given(st.lists(st.tuples(minutes, st.integers(-(10**16), 10**16) | steps, minutes), max_size=30))
def test_readings_that_are_wrong_once_make_no_wait_more_than_a_tenth_longer_or_shorter(
    turns: list[tuple[int, int, int]],
) -> None:
    machine = Machine()
    clock = machine.clock()
    for until_wrong, wrong, until_right in turns:
        for wait, step in ((until_wrong, wrong), (until_right, -wrong)):
            before = clock()
            machine.wait(wait)
            machine.step(step)
            assert wait - wait // 11 <= clock() - before <= wait + wait // 10


@given(
    ahead=st.integers(-FOLLOWED, FOLLOWED), pieces=st.lists(st.integers(0, HOUR), min_size=1, max_size=200)
)
def test_it_comes_nearer_with_each_look_and_never_beyond(ahead: int, pieces: list[int]) -> None:
    left = ahead
    for passed in pieces:
        moved = correction(left, passed)
        assert 0 <= moved * (1 if left > 0 else -1) <= abs(left)
        left -= moved
    assert abs(left) <= max(0, abs(ahead) - sum(passed // 11 for passed in pieces))


@pytest.mark.parametrize(("step", "hours"), [(HOUR, 10), (-HOUR, 11)])
def test_an_hour_is_taken_up_within_half_a_day(step: int, hours: int) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.step(step)
    assert drifted(clock, machine) == -step
    for _ in range(hours * 60 - 1):
        machine.wait(60 * SECOND)
        assert drifted(clock, machine) * (1 if step > 0 else -1) < 0
    machine.wait(61 * SECOND)
    assert abs(drifted(clock, machine)) < CLOSE


def test_looked_at_every_ten_microseconds_it_still_gets_there() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.step(2 * CLOSE)
    for _ in range(1100):
        machine.wait(10)
        clock()
    assert drifted(clock, machine) == 1 - CLOSE


def test_a_clock_that_can_not_go_back_and_does_makes_time_stand_still() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.boot -= 5000
    assert clock() == START
    machine.wait(1000)
    assert clock() == START + 1000


def test_a_suspend_counts_as_time_that_has_passed() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wait(9 * HOUR)  # both clocks went on, and nobody looked
    assert clock() == machine.wall
    assert machine.told == []


def test_hours_ahead_are_followed_once_they_have_stayed_two_seconds_and_are_told_once() -> None:
    machine = Machine(wall=0)
    clock = machine.clock()
    machine.step(START)
    assert clock() == 0
    machine.wait(STAYS - 1)
    assert clock() == STAYS - 1
    machine.wait(1)
    assert clock() == machine.wall == START + STAYS
    machine.wait(HOUR)
    assert clock() == machine.wall
    assert machine.told == [(START, START)]


@pytest.mark.parametrize("until_right", [0, 1, STAYS, 9 * HOUR])
def test_one_wrong_reading_of_a_day_and_an_hour_changes_nothing(until_right: int) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wait(9 * HOUR)  # since the last look
    machine.step(25 * HOUR)
    assert clock() == START + 9 * HOUR
    machine.wait(until_right)
    machine.step(-25 * HOUR)
    assert clock() == machine.wall
    assert machine.told == [(25 * HOUR, 25 * HOUR), (-25 * HOUR, 0)]


def test_wrong_readings_again_and_again_are_not_added_up() -> None:
    machine = Machine()
    clock = machine.clock()
    for step in 5 * (25 * HOUR, -25 * HOUR):
        machine.step(step)
        for wait in (0, STAYS - 1):
            machine.wait(wait)
            assert clock() == START + machine.boot - 12345


def test_a_wall_clock_that_jumps_on_is_followed_two_seconds_after_the_last_jump() -> None:
    machine = Machine()
    clock = machine.clock()
    for hours in (25, 50, -40):
        machine.wait(STAYS)
        machine.step(hours * HOUR)
        assert clock() == START + machine.boot - 12345
    machine.wait(STAYS)
    assert clock() == machine.wall


def test_steps_after_a_wrong_reading_are_told_by_their_own_size() -> None:
    machine = Machine()
    clock = machine.clock()
    for step in (HOUR, -HOUR, HOUR):
        machine.step(step)
        clock()
    assert machine.told == [(HOUR, HOUR), (-HOUR, 0), (HOUR, HOUR)]


def test_two_hours_ahead_are_followed_slowly() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.step(FOLLOWED)
    assert clock() == START
    assert machine.told == [(FOLLOWED, FOLLOWED)]


def test_years_back_are_not_followed_and_told_once() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.step(-START // 2)
    now = clock()
    for _ in range(5):
        machine.wait(SECOND)
        now, before = clock(), now
        assert 0.9 * SECOND < now - before < SECOND
    assert machine.told == [(-START // 2, -START // 2)]


def test_each_step_is_told_with_what_is_left_and_no_slewing_is() -> None:
    machine = Machine()
    clock = machine.clock()
    for step in (HOUR, -2 * HOUR, NOTED - 1, NOTED):
        machine.wait(11 * SECOND)
        machine.step(step)
        clock()
    assert [step for step, _ in machine.told] == [HOUR, -2 * HOUR, NOTED]
    assert machine.told[0][1] == HOUR - 11 * SECOND // 10


# At a start: what an earlier process has seen


def test_a_start_goes_on_from_the_latest_time_that_was_seen() -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock.resume(START + HOUR) == 0
    assert clock() == START + HOUR
    machine.wait(11 * SECOND)
    assert clock() == START + HOUR + 10 * SECOND
    assert machine.told == []  # nothing has stepped since


@pytest.mark.parametrize("seen", [0, START - HOUR, START])
def test_a_start_later_than_all_that_was_seen_begins_at_the_wall_clock(seen: int) -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock.resume(seen) == 0
    assert clock() == START


def test_a_start_far_before_what_was_seen_begins_at_the_wall_clock_and_says_so() -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock.resume(START + FOLLOWED + 1) == FOLLOWED + 1
    assert clock() == START
    assert clock.resume(START + FOLLOWED) == 0
