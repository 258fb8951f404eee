"""An endpoint that hangs takes its own share of the slots and nobody else's."""

from pathlib import Path

import pytest

from promises.house import House, house
from ringback.deliver.dispatcher import DispatchSettings
from ringback.store.predictions import Ending
from store.world import LINKS
from support.receiver import Receiver, receiving

FOUR_SLOTS = DispatchSettings(LINKS, in_flight=4, in_flight_per_origin=2)


async def ring(here: House, receiver: Receiver, *, granted: bool) -> None:
    """Owe a `completed`: granted in its transaction if there is room, or left free to be claimed."""
    hold = await here.running(receiver, "completed")
    if granted:
        await here.end(receiver, hold)
    else:
        await here.world.end(hold, Ending("succeed"))
        here.dispatcher.wake()


@pytest.mark.parametrize("granted", [True, False])
async def test_an_endpoint_that_hangs_keeps_nobody_else_waiting(tmp_path: Path, granted: bool) -> None:
    async with house(tmp_path, FOUR_SLOTS) as here, receiving() as hanging, receiving() as healthy:
        hanging.hold()
        for _ in range(6):
            await ring(here, hanging, granted=granted)
        await hanging.until(lambda r: r.held >= 2)
        await ring(here, healthy, granted=granted)
        await healthy.until(lambda r: len(r.acknowledged) == 1, timeout=5)
        assert hanging.held == 2
        hanging.release()
        await hanging.until(lambda r: len(r.acknowledged) == 6)
