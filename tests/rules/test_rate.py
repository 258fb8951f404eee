"""The bucket of a rate limit: so many at once, so many a minute, and what is said of it is true."""

from hypothesis import given
from hypothesis import strategies as st

from ringback.rules.rate import per_minute, take

MINUTE = 60_000_000


@given(limit=st.integers(1, 5000), now=st.integers(0, 10**15))
def test_a_full_bucket_gives_exactly_its_limit_at_once(limit: int, now: int) -> None:
    rate = per_minute(limit)
    full_at = 0
    for left in range(limit - 1, -1, -1):
        taken = take(rate, full_at, now)
        assert (taken.wait, taken.remaining) == (0, left)
        full_at = taken.full_at
    refused = take(rate, full_at, now)
    assert refused.wait == rate.gap
    assert refused.full_at == full_at  # asking in vain costs nothing


@given(
    limit=st.integers(1, 100),
    steps=st.lists(st.integers(0, MINUTE), min_size=1, max_size=200),
)
def test_no_minute_sees_more_than_the_limit_and_what_one_minute_refills(limit: int, steps: list[int]) -> None:
    rate, full_at, now = per_minute(limit), 0, 10**12
    granted: list[int] = []
    for step in steps:
        now += step
        taken = take(rate, full_at, now)
        full_at = taken.full_at
        if not taken.wait:
            granted.append(now)
    for start in granted:
        assert sum(start <= each < start + MINUTE for each in granted) <= 2 * limit


@given(limit=st.integers(1, 100), used=st.integers(1, 300), now=st.integers(0, 10**15))
def test_the_wait_that_is_told_is_long_enough_and_not_longer(limit: int, used: int, now: int) -> None:
    rate, full_at = per_minute(limit), 0
    for _ in range(used):
        full_at = take(rate, full_at, now).full_at
    wait = take(rate, full_at, now).wait
    if wait:
        assert take(rate, full_at, now + wait).wait == 0
        assert take(rate, full_at, now + wait - 1).wait == 1


@given(limit=st.integers(1, 100), used=st.integers(1, 100), now=st.integers(0, 10**15))
def test_after_the_reset_all_of_it_is_there_again(limit: int, used: int, now: int) -> None:
    rate, full_at, reset = per_minute(limit), 0, 0
    for _ in range(used):
        taken = take(rate, full_at, now)
        full_at, reset = taken.full_at, taken.reset
    assert take(rate, full_at, now + reset).remaining == limit - 1
