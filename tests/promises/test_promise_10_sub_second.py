"""Nothing waits for a poll: each step is begun by the one before it.

Whoever polls does it every 5 seconds; 3 are far more than any step takes when it is begun as it should be.
"""

from pathlib import Path

from promises.house import house
from ringback.deliver.dispatcher import DispatchSettings
from store.world import LINKS
from support.receiver import receiving
from support.server import model, serving

WELL_BEFORE_A_POLL_S = 3.0
ONE_SLOT = DispatchSettings(LINKS, in_flight=1)


async def test_a_prediction_is_run_and_delivered_without_waiting_for_a_poll(tmp_path: Path) -> None:
    async with (
        receiving() as receiver,
        serving(model("test/echo", "echo"), data=tmp_path / "data") as server,
    ):
        await server.create("test/echo", {"text": "first"}, webhook=receiver.url)
        await receiver.until(lambda r: len(r.acknowledged) == 1)  # a poll is 5 s away now, if that was one
        await server.create("test/echo", {"text": "second"}, webhook=receiver.url)
        await receiver.until(lambda r: len(r.acknowledged) == 2, timeout=WELL_BEFORE_A_POLL_S)


async def test_what_was_throttled_goes_when_its_window_ends(tmp_path: Path) -> None:
    async with house(tmp_path) as here, receiving() as receiver:
        hold = await here.begin(receiver, "output")
        await here.say(receiver, hold, "one")
        await receiver.until(lambda r: len(r.acknowledged) == 1)
        await here.quiet()
        await here.say(receiver, hold, "two")
        here.world.wait(0.5)
        await receiver.until(lambda r: len(r.acknowledged) == 2, timeout=WELL_BEFORE_A_POLL_S)
        assert receiver.received[1].prediction["output"] == ["one", "two"]


async def test_what_found_no_room_goes_when_there_is_some(tmp_path: Path) -> None:
    async with house(tmp_path, ONE_SLOT) as here, receiving() as receiver, receiving() as other:
        receiver.hold()
        first, second = [await here.running(to, "completed") for to in (receiver, other)]
        await here.end(receiver, first)
        await receiver.until(lambda r: r.held == 1)
        await here.end(other, second)
        receiver.release()
        await other.until(lambda r: len(r.acknowledged) == 1, timeout=WELL_BEFORE_A_POLL_S)
