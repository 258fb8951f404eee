"""Says words one by one; fails after them if it is told how."""

import time
from collections.abc import Iterator


def run(text: str, pause: float = 0.0, failure: str = "") -> Iterator[str]:
    for word in text.split():
        yield word
        time.sleep(pause)
    if failure:
        raise ValueError(failure)
