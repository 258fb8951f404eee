"""Which keys sign, and which request to rotate is a repetition."""

import pytest

from ringback.rules.retry import SECOND
from ringback.rules.rotation import Age, is_repeated, signing

CURRENT, FORMER, OLDEST = Age("current", 900, None), Age("former", 800, 2000), Age("oldest", 700, 1500)


@pytest.mark.parametrize(
    ("now", "limit", "expected"),
    [
        (1000, 3, {"current", "former", "oldest"}),
        (1000, 2, {"current", "former"}),
        (1499, 3, {"current", "former", "oldest"}),
        (1500, 3, {"current", "former"}),
        (9999, 3, {"current"}),
        (1000, 0, set()),
    ],
)
def test_the_newest_that_live_sign(now: int, limit: int, expected: set[str]) -> None:
    assert signing([CURRENT, FORMER, OLDEST], now, limit) == expected


def test_one_that_has_expired_takes_nobodys_place() -> None:
    assert signing([CURRENT, Age("short", 800, 900), OLDEST], 1000, 2) == {"current", "oldest"}


@pytest.mark.parametrize(
    ("later_s", "expected"), [(0, True), (59.9, True), (60, False), (-59.9, True), (-3600, False)]
)
def test_a_request_within_a_minute_of_a_rotation_is_the_same_one(later_s: float, expected: bool) -> None:
    made = 1_700_000_000 * SECOND
    ages = [Age("current", made, None), Age("former", made - SECOND, made)]
    assert is_repeated(ages, made + int(later_s * SECOND)) is expected


def test_the_first_key_was_no_rotation() -> None:
    assert not is_repeated([CURRENT], CURRENT.created_at)
    assert not is_repeated([], 0)
