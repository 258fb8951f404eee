"""Says a word, then waits until it is told to stop."""

import asyncio
from collections.abc import AsyncIterator


async def run(word: str = "hello") -> AsyncIterator[str]:
    yield word
    await asyncio.Event().wait()
