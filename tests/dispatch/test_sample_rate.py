"""Test deliveries: thirty a minute, whoever asks for them and whatever becomes of them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from ringback.deliver.egress import Egress, EgressSettings
from ringback.deliver.sample import Samples, text_to_image
from ringback.rules.address import AddressRules
from ringback.words.errors import TooMany
from store.world import LINKS
from support.receiver import Receiver, receiving, status

SHAPE = text_to_image("http://127.0.0.1:5050/f/0/output.png")


@dataclass
class Tried:
    """What sends test deliveries, by a clock that the test moves, in seconds."""

    egress: Egress
    receiver: Receiver
    now: float = 1000.0
    samples: Samples = field(init=False)

    def __post_init__(self) -> None:
        self.samples = Samples(self.egress, lambda: 1_700_000_000_000_000, lambda: self.now)

    async def send(self, times: int = 1) -> None:
        for _ in range(times):
            await self.samples.send("1", "completed", self.receiver.url, SHAPE, ("whsec_c2VjcmV0",), LINKS)

    async def refused(self) -> int:
        """Be refused; give the seconds to wait."""
        with pytest.raises(TooMany) as error:
            await self.send()
        return error.value.retry_after


@pytest.fixture
async def tried() -> AsyncIterator[Tried]:
    egress = Egress(EgressSettings(), AddressRules(allow_loopback=True))
    try:
        async with receiving() as receiver:
            yield Tried(egress, receiver)
    finally:
        await egress.close()


async def test_the_thirty_first_within_a_minute_is_refused_and_told_when_to_come_again(tried: Tried) -> None:
    await tried.send(29)
    tried.now += 10.5
    await tried.send()
    assert await tried.refused() == 50
    tried.now += 49
    assert await tried.refused() == 1
    assert len(tried.receiver.received) == 30
    tried.now += 0.5
    await tried.send(29)
    assert await tried.refused() == 11


async def test_those_that_failed_count_and_those_that_were_refused_do_not(tried: Tried) -> None:
    tried.receiver.answer = status(503)
    await tried.send(30)
    for _ in range(5):
        assert await tried.refused() == 60
    tried.now += 60
    await tried.send(30)
    assert len(tried.receiver.received) == 60


async def test_a_fifth_at_a_time_is_refused_and_takes_no_place_in_the_minute(tried: Tried) -> None:
    tried.receiver.hold()
    under_way = [asyncio.create_task(tried.send()) for _ in range(4)]
    await tried.receiver.until(lambda receiver: receiver.held == 4)
    assert await tried.refused() == 5
    tried.receiver.release()
    await asyncio.gather(*under_way)
    await tried.send(26)
    assert await tried.refused() == 60
