"""Which part of a file a Range asks for."""

import pytest

from ringback.api.ranges import span


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-4", (2, 5)),
        ("bytes=2-", (2, 10)),
        ("bytes=2-99", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=-0", (10, 10)),
        ("bytes=10-", (10, 10)),
        ("bytes=99-100", (99, 10)),
        ("bytes=5-2", (0, 10)),
        ("bytes=-", (0, 10)),
        ("bytes=1-2,4-5", (0, 10)),
        ("lines=1-2", (0, 10)),
        ("bytes=a-b", (0, 10)),
        ("bytes=1-" + "9" * 30, (0, 10)),
        ("", (0, 10)),
    ],
)
def test_a_range_is_the_first_byte_and_the_one_after_the_last(asked: str, found: tuple[int, int]) -> None:
    assert span(asked, 10) == found
