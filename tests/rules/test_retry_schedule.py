"""When a failed delivery is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rules.retry import SECOND, Schedule, backoff, next_due

DAY = 86400
EVENT_AT = 1_700_000_000 * SECOND
SHIPPED = Schedule()

# Seconds after the event at which each attempt begins when attempts take no time and nothing is random.
WHOLE_DAY = [
    *(0, 5, 15, 35, 75, 155, 315, 635, 1275, 2555, 5115, 10235),
    *(17435, 24635, 31835, 39035, 46235, 53435, 60635, 67835, 75035, 82235),
]


def due(
    attempts: int,
    after_s: float = 0.0,
    *,
    schedule: Schedule = SHIPPED,
    jitter: float = 0.0,
    retry_after: float | None = None,
) -> float | None:
    """Seconds after the event, or None."""
    at = next_due(
        schedule,
        attempts=attempts,
        event_at=EVENT_AT,
        now=EVENT_AT + int(after_s * SECOND),
        jitter=jitter,
        retry_after=retry_after,
    )
    return None if at is None else (at - EVENT_AT) / SECOND


def test_the_whole_schedule_of_a_day() -> None:
    begun: list[float] = []
    at: float | None = 0.0
    while at is not None and len(begun) < 100:
        begun.append(at)
        at = due(len(begun), at)
    assert begun == WHOLE_DAY


def test_the_wait_doubles_to_the_cap_and_stays_there() -> None:
    assert [backoff(SHIPPED, attempts) for attempts in (1, 2, 3, 10, 11, 12, 13)] == [
        *(5, 10, 20, 2560, 5120, 7200, 7200)
    ]
    assert backoff(SHIPPED, 10**9) == 7200


@pytest.mark.parametrize(("jitter", "wait"), [(-1.0, 4.5), (-0.5, 4.75), (0.0, 5.0), (0.5, 5.25), (1.0, 5.5)])
def test_jitter_moves_the_wait_by_its_share(jitter: float, wait: float) -> None:
    assert due(1, jitter=jitter) == wait


@pytest.mark.parametrize(
    ("after_s", "becomes"),
    [
        (DAY - 7200, DAY),  # the last attempt may begin at the very end of the window
        (DAY - 7200 + 1e-6, None),
        (DAY, None),
        (DAY + 60, None),
    ],
)
def test_no_attempt_begins_after_the_window(after_s: float, becomes: float | None) -> None:
    assert due(30, after_s) == becomes


@pytest.mark.parametrize(
    ("retry_after", "becomes"),
    [
        (0, 5),  # sooner than the backoff: the backoff
        (4.9, 5),
        (5.1, 5.1),
        (60, 60),
        (DAY, DAY),
        (DAY + 1, DAY),  # an attempt at the very end of the window
        (1e300, DAY),
        (float("inf"), DAY),
    ],
)
def test_retry_after_is_honoured_in_full_up_to_the_end_of_the_window(
    retry_after: float, becomes: float
) -> None:
    assert due(1, retry_after=retry_after) == becomes


@pytest.mark.parametrize(
    ("after_s", "retry_after", "becomes"),
    [
        (DAY - 10, 3600, None),  # asked for less than the backoff, which leads out of the window
        (DAY - 10, 7201, DAY),
        (DAY, 60, None),  # the last attempt has been made
        (DAY + 1, 1e9, None),
    ],
)
def test_retry_after_keeps_nothing_alive_beyond_the_window(
    after_s: float, retry_after: float, becomes: float | None
) -> None:
    assert due(30, after_s, retry_after=retry_after) == becomes


@given(
    attempts=st.integers(1, 10_000),
    after_us=st.integers(-SECOND, 2 * DAY * SECOND),
    jitter=st.floats(-1, 1),
    retry_after=st.none() | st.floats(0, allow_nan=False),
)
def test_whatever_comes_a_retry_is_later_than_now_and_within_the_window(
    attempts: int, after_us: int, jitter: float, retry_after: float | None
) -> None:
    now = EVENT_AT + after_us
    at = next_due(
        SHIPPED, attempts=attempts, event_at=EVENT_AT, now=now, jitter=jitter, retry_after=retry_after
    )
    if at is None:
        assert now + int(backoff(SHIPPED, attempts) * 1.1 * SECOND) + 1 >= EVENT_AT + DAY * SECOND
    else:
        assert now < at <= EVENT_AT + DAY * SECOND


def test_a_window_of_nothing_means_one_attempt() -> None:
    assert due(1, 0.01, schedule=Schedule(window_s=0)) is None
