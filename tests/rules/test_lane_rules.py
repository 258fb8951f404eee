"""The rules of the lane, one table for each of the numbers they have in rules/lane.py."""

import pytest

from ringback.rules.attempt import Acknowledged, Failed, Gone
from ringback.rules.lane import EMPTY, Lane, Pending, Plan, Settlement, advanced, due_at, flush, owe, settle
from ringback.rules.prediction import EVENTS, Event
from ringback.rules.retry import SECOND, Schedule

NOW = 1_000 * SECOND
WINDOW = SECOND // 2
SHIPPED = Schedule()


def pending(number: int, event: Event, attempts: int = 0, *, due: int = NOW, created: int = NOW) -> Pending:
    return Pending(number, event, attempts, due, created)


def lane(*deliveries: Pending, window_until: int = 0, not_before: int = 0, held: bool = False) -> Lane:
    last = deliveries[-1].number if deliveries else 0
    return Lane(deliveries, last, window_until, not_before, held)


def owed(before: Lane, event: Event, now: int = NOW) -> tuple[Plan, Lane]:
    plan = owe(before, event, now=now, window_us=WINDOW)
    return plan, advanced(before, plan)


# 1. Only the head is attempted


@pytest.mark.parametrize(
    ("found", "at"),
    [
        (EMPTY, None),
        (lane(pending(1, "start", due=NOW)), NOW),
        (lane(pending(1, "start", due=NOW + 9), pending(2, "completed", due=NOW)), NOW + 9),
        (lane(pending(1, "start", due=NOW), not_before=NOW + 5), NOW + 5),
        (lane(pending(1, "start", due=NOW + 9), not_before=NOW + 5), NOW + 9),
    ],
)
def test_rule_1_a_lane_is_due_when_its_oldest_delivery_is(found: Lane, at: int | None) -> None:
    assert due_at(found) == at


@pytest.mark.parametrize("event", EVENTS)
def test_rule_1_a_new_event_goes_behind_what_is_in_flight(event: Event) -> None:
    before = lane(pending(3, "start", 1), held=True)
    plan, after = owed(before, event)
    assert plan.superseded == ()
    assert plan.created is not None
    assert plan.created.number == 4
    assert [delivery.number for delivery in after.pending] == [3, 4]
    assert after.held


# 2. The throttle


@pytest.mark.parametrize("event", ["output", "logs"])
def test_rule_2_the_first_partial_goes_at_once_and_opens_the_window(event: Event) -> None:
    plan, after = owed(EMPTY, event)
    assert plan.created == pending(1, event)
    assert after.window_until == NOW + WINDOW


@pytest.mark.parametrize("event", ["output", "logs"])
def test_rule_2_the_next_one_waits_until_the_window_ends_and_opens_another(event: Event) -> None:
    before = Lane(last_number=1, window_until=NOW + 7)
    plan, after = owed(before, event)
    assert plan.created == pending(2, event, due=NOW + 7)
    assert after.window_until == NOW + 7 + WINDOW


def test_rule_2_after_the_window_it_goes_at_once_again() -> None:
    plan, after = owed(Lane(last_number=1, window_until=NOW - 1), "output")
    assert plan.created == pending(2, "output")
    assert after.window_until == NOW + WINDOW


@pytest.mark.parametrize(
    ("waiting", "event", "becomes"),
    [
        ("output", "output", "output"),
        ("output", "logs", "output"),
        ("logs", "output", "output"),
        ("logs", "logs", "logs"),
    ],
)
def test_rule_2_an_unattempted_partial_is_updated_in_place(
    waiting: Event, event: Event, becomes: Event
) -> None:
    before = lane(pending(1, waiting, due=NOW + 9, created=NOW - 1), window_until=NOW + 9)
    plan, after = owed(before, event)
    assert plan == Plan((), pending(1, becomes, due=NOW + 9, created=NOW - 1), None, NOW + 9)
    assert after.last_number == 1
    assert after.pending == (plan.merged,)


def test_rule_2_only_the_newest_delivery_can_be_updated() -> None:
    """Output, then a start asked for late: what follows must not slip in front of it."""
    before = lane(pending(1, "output"), pending(2, "start"), window_until=NOW + 9)
    plan, after = owed(before, "logs")
    assert plan.merged is None
    assert [delivery.event for delivery in after.pending] == ["output", "start", "logs"]


@pytest.mark.parametrize("event", ["output", "logs"])
def test_rule_2_one_that_was_never_attempted_and_is_sent_again_shows_nothing_newer_than_its_id(
    event: Event,
) -> None:
    """It was given up untried, newer ones went out, and then somebody asked for it."""
    before = Lane((pending(1, "output"),), last_number=2)
    plan, after = owed(before, event)
    assert plan.merged is None
    assert [delivery.number for delivery in after.pending] == [1, 3]
    assert flush(before, now=NOW - 9).merged is None


# 3. What was attempted


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("head", ["start", "output", "logs"])
def test_rule_3_a_failed_head_gives_way_to_any_newer_event(head: Event, event: Event) -> None:
    plan, after = owed(lane(pending(1, head, 2, due=NOW + 99)), event)
    assert plan.superseded == (1,)
    assert plan.merged is None
    assert [(delivery.number, delivery.event) for delivery in after.pending] == [(2, event)]


def test_rule_3_a_head_that_is_in_flight_keeps_its_body() -> None:
    plan, after = owed(lane(pending(1, "output", 1), held=True), "output")
    assert plan.merged is None
    assert [delivery.number for delivery in after.pending] == [1, 2]


def test_rule_3_retry_after_outlives_the_head_that_got_it() -> None:
    _, after = owed(lane(pending(1, "output", 1, due=NOW + 99), not_before=NOW + 50), "completed")
    assert due_at(after) == NOW + 50


# 4. completed, start


@pytest.mark.parametrize("event", ["start", "completed"])
def test_rule_4_start_and_completed_neither_wait_for_the_window_nor_open_it(event: Event) -> None:
    closed = Lane(last_number=1, window_until=NOW + 9)
    plan, after = owed(closed, event)
    assert plan.created == pending(2, event)
    assert after.window_until == NOW + 9
    assert owed(EMPTY, event)[1].window_until == 0


@pytest.mark.parametrize("verdict", [Acknowledged(), Gone(), Failed(None), Failed(3600.0)])
def test_rule_4_completed_is_never_superseded(verdict: Acknowledged | Gone | Failed) -> None:
    found = settle([pending(4, "completed", 1)], verdict, SHIPPED, now=NOW, jitter=0.0)
    assert found.end != "superseded"


# 5. The end


def test_rule_5_a_throttled_snapshot_gives_way_to_completed() -> None:
    before = lane(pending(1, "start"), pending(2, "output", due=NOW + 9), window_until=NOW + 9)
    plan, after = owed(before, "completed")
    assert plan.superseded == (2,)
    assert [delivery.event for delivery in after.pending] == ["start", "completed"]
    assert after.pending[1].number == 3


def test_rule_5_behind_an_attempt_in_flight_too() -> None:
    before = lane(pending(1, "output", 1), pending(2, "output", due=NOW + 9), held=True)
    plan, after = owed(before, "completed")
    assert plan.superseded == (2,)
    assert [delivery.number for delivery in after.pending] == [1, 3]


@pytest.mark.parametrize("due", [NOW + 9, NOW, NOW - 9])
def test_rule_5_without_completed_what_waits_goes_at_the_end(due: int) -> None:
    before = lane(pending(1, "logs", due=due), window_until=NOW + 9)
    plan = flush(before, now=NOW)
    assert plan.merged == pending(1, "logs", due=min(due, NOW))
    assert plan.created is None


@pytest.mark.parametrize(
    "before",
    [
        EMPTY,
        lane(pending(1, "start")),
        lane(pending(1, "output", 1), held=True),
        lane(pending(1, "output", 3, due=NOW + 60)),
    ],
)
def test_rule_5_the_end_changes_nothing_that_was_attempted_or_has_no_snapshot(before: Lane) -> None:
    assert advanced(before, flush(before, now=NOW)) == before


# All of them in one table. `~` waits for the window's end, `*` is in flight, `!` has failed and waits to be
# tried again; a column is what happens next, `end` the end of a prediction that asked for no `completed`.

MARKS = {"~": (0, NOW + 9), "*": (1, NOW), "!": (1, NOW + 99)}


def read(text: str, window_until: int) -> Lane:
    words = text.split()
    deliveries = []
    for number, word in enumerate(words, 1):
        attempts, due = MARKS.get(word[-1], (0, NOW))
        event = next(event for event in EVENTS if event == word.rstrip("~*!"))
        deliveries.append(pending(number, event, attempts, due=due))
    return lane(*deliveries, window_until=window_until, held="*" in text)


def written(found: Lane) -> str:
    return " ".join(
        item.event
        + ("*" if item.attempts and found.held else "!" if item.attempts else "~" * (item.due_at > NOW))
        for item in found.pending
    )


TABLE = {
    # pending           output             logs               completed            end
    "": ("output~", "logs~", "completed", ""),
    "start": ("start output~", "start logs~", "start completed", "start"),
    "start*": ("start* output~", "start* logs~", "start* completed", "start*"),
    "start!": ("output~", "logs~", "completed", "start!"),
    "output~": ("output~", "output~", "completed", "output"),
    "logs~": ("output~", "logs~", "completed", "logs"),
    "output*": ("output* output~", "output* logs~", "output* completed", "output*"),
    "output!": ("output~", "logs~", "completed", "output!"),
    "logs!": ("output~", "logs~", "completed", "logs!"),
    "start output~": ("start output~", "start output~", "start completed", "start output"),
    "start logs~": ("start output~", "start logs~", "start completed", "start logs"),
    "start* logs~": ("start* output~", "start* logs~", "start* completed", "start* logs"),
    "output* logs~": ("output* output~", "output* logs~", "output* completed", "output* logs"),
    "logs* output~": ("logs* output~", "logs* output~", "logs* completed", "logs* output"),
}


@pytest.mark.parametrize(
    ("before", "event", "after"),
    [
        (before, event, after)
        for before, row in TABLE.items()
        for event, after in zip(("output", "logs", "completed", "end"), row, strict=True)
    ],
)
def test_the_whole_table_of_what_is_pending_and_what_happens(before: str, event: Event, after: str) -> None:
    found = read(before, NOW + 9)
    plan = flush(found, now=NOW) if event not in EVENTS else owe(found, event, now=NOW, window_us=WINDOW)
    assert written(advanced(found, plan)) == after
    if plan.created is not None:
        assert plan.created.number == found.last_number + 1


@pytest.mark.parametrize(("event", "after"), [("output", "output"), ("logs", "logs"), ("start", "start")])
def test_the_same_with_no_window_open(event: Event, after: str) -> None:
    found = read("start!", 0)
    assert written(owed(found, event)[1]) == after


# Settling


NEXT = pending(2, "output", due=NOW + 9)


@pytest.mark.parametrize(
    ("deliveries", "verdict", "becomes"),
    [
        ([pending(1, "start", 1)], Acknowledged(), Settlement("delivered", None, None, 0)),
        ([pending(1, "start", 1), NEXT], Acknowledged(), Settlement("delivered", NOW + 9, None, 0)),
        ([pending(1, "completed", 1)], Gone(), Settlement("dead", None, None, 0)),
        ([pending(1, "start", 1), NEXT], Gone(), Settlement("dead", NOW + 9, None, 0)),
        ([pending(1, "start", 1), NEXT], Failed(None), Settlement("superseded", NOW + 9, None, 0)),
        (
            [pending(1, "start", 1), NEXT],
            Failed(30.0),
            Settlement("superseded", NOW + 30 * SECOND, None, NOW + 30 * SECOND),
        ),
        (
            [pending(1, "completed", 3)],
            Failed(None),
            Settlement(None, NOW + 20 * SECOND, NOW + 20 * SECOND, 0),
        ),
        (
            [pending(1, "completed", 1)],
            Failed(30.0),
            Settlement(None, NOW + 30 * SECOND, NOW + 30 * SECOND, NOW + 30 * SECOND),
        ),
        (
            [pending(1, "completed", 3)],
            Failed(1.0),
            Settlement(None, NOW + 20 * SECOND, NOW + 20 * SECOND, NOW + SECOND),
        ),
        (
            [pending(1, "completed", 30, created=NOW - 86400 * SECOND)],
            Failed(None),
            Settlement("dead", None, None, 0),
        ),
    ],
)
def test_an_attempt_settles_the_head_and_says_who_is_next(
    deliveries: list[Pending], verdict: Acknowledged | Gone | Failed, becomes: Settlement
) -> None:
    assert settle(deliveries, verdict, SHIPPED, now=NOW, jitter=0.0) == becomes
