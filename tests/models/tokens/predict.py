"""Yields words one by one, `pause` seconds apart."""

import asyncio
from collections.abc import AsyncIterator


class Tokens:
    async def run(self, text: str, pause: float = 0.0) -> AsyncIterator[str]:
        for word in text.split():
            print("said", word)
            yield word
            await asyncio.sleep(pause)
