"""What each test of the dispatcher may ask for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dispatch.moved import Moved, moved
from support.receiver import Receiver, receiving


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Moved]:
    async with moved(tmp_path) as found:
        yield found


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found
