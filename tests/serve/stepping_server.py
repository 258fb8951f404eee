"""`ringback` on a machine whose wall clock is off by some hours, and by others at every second look at it."""

import itertools
import os
import time

from ringback.assembly import cli
from ringback.assembly.world import World

_HOUR = 3600 * 1_000_000
_off = int(os.environ.get("RINGBACK_TEST_OFF", "0")) * _HOUR
_step = int(os.environ.get("RINGBACK_TEST_STEP", "0")) * _HOUR
_looks = itertools.count()


def wall() -> int:
    return time.time_ns() // 1000 + _off + next(_looks) % 2 * _step


if __name__ == "__main__":
    cli.main(World(token=os.environ["REPLICATE_API_TOKEN"], clock=wall))
