"""What a server takes from outside."""

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringback.assembly.clock import boot_us
from ringback.words.ids import Entropy


@dataclass(frozen=True, slots=True)
class World:
    """What comes from outside: time, randomness, the environment.

    Attributes:
        clock: the wall clock, microseconds since the epoch.
        monotonic: a clock that never steps, seconds.
        boot: a clock that never steps and counts suspends, microseconds.
        entropy: random bytes.
        jitter: random numbers in [-1, 1].
        token: a token that is always accepted (REPLICATE_API_TOKEN), or None.
        environment: the environment's variables, for settings that name one.
        before_commit: called by the writer's thread before each commit; for crash tests.
        say: prints a line for the person who started the server.
    """

    clock: Callable[[], int] = lambda: time.time_ns() // 1000
    monotonic: Callable[[], float] = time.monotonic
    boot: Callable[[], int] = boot_us
    entropy: Entropy = os.urandom
    jitter: Callable[[], float] = lambda: random.uniform(-1, 1)  # noqa: S311 - spreads retries, guards nothing
    token: str | None = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    before_commit: Callable[[int], None] | None = None
    say: Callable[[str], None] = lambda line: print(line, flush=True)  # noqa: T201 - it is for a person
