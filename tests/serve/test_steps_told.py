"""The log tells of steps of the wall clock, and is not filled by a clock that steps at every look."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ringback.assembly.clock import steady
from ringback.rules.retry import SECOND

HOUR = 3600 * SECOND


@dataclass
class Machine:
    """The wall clock, which steps, and the one that can't; microseconds."""

    wall: int = 1_700_000_000 * SECOND
    boot: int = 0

    def wait(self, seconds: float) -> None:
        self.wall += int(seconds * SECOND)
        self.boot += int(seconds * SECOND)


def begun(machine: Machine) -> Callable[[], int]:
    return steady(lambda: machine.wall, lambda: machine.boot)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("hours", "meaning"),
    [
        (1, "deliveries follow it slowly, and nothing else is needed"),
        (-1, "deliveries follow it slowly, and nothing else is needed"),
        (25, "deliveries follow it in one leap if it stays there for 2 s"),
        (-25, "deliveries go on by the time before it: restart the server to set them back too"),
    ],
)
def test_a_step_is_told_at_once_with_what_it_means(
    caplog: pytest.LogCaptureFixture, hours: int, meaning: str
) -> None:
    machine = Machine()
    clock = begun(machine)
    machine.wall += hours * HOUR
    clock()
    assert lines(caplog) == [f"the wall clock stepped by {hours * 3600:+d} s: {meaning}"]


def test_a_clock_that_steps_at_every_look_is_told_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    clock = begun(machine)
    for look in range(1801):
        machine.wall += HOUR if look % 2 == 0 else -HOUR
        clock()
        machine.wait(0.1)
    assert len(lines(caplog)) == 4
    assert "the wall clock stepped by -3600 s, the last of 600 steps within a minute: " in lines(caplog)[-1]


def test_the_last_step_of_a_minute_is_told_when_the_minute_is_over(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    clock = begun(machine)
    for hours in (1, -3):
        machine.wall += hours * HOUR
        clock()
    machine.wait(59.9)
    clock()
    assert len(lines(caplog)) == 1
    machine.wait(0.1)
    clock()
    assert [line.partition(":")[0] for line in lines(caplog)] == [
        "the wall clock stepped by +3600 s",
        "the wall clock stepped by -10800 s",
    ]
    machine.wait(3600)
    clock()
    assert len(lines(caplog)) == 2
