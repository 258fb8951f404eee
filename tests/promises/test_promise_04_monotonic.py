"""One attempt of a prediction at a time, and never backwards."""

from pathlib import Path

from promises.house import house
from support.receiver import receiving, status


async def test_what_is_newer_waits_while_an_attempt_is_in_flight(tmp_path: Path) -> None:
    async with house(tmp_path) as here, receiving() as slow, receiving() as other:
        slow.hold()
        hold = await here.begin(slow, "start", "completed")
        await slow.until(lambda r: r.held == 1)
        await here.end(slow, hold)
        here.dispatcher.wake()
        await here.pass_by(other)
        assert [item.event for item in slow.received] == ["start"]
        slow.release()
        await slow.until(lambda r: len(r.acknowledged) == 2)
        assert [(item.event, item.attempt) for item in slow.received] == [("start", 1), ("completed", 1)]


async def test_an_event_that_failed_is_not_sent_after_a_newer_one(tmp_path: Path) -> None:
    async with house(tmp_path) as here, receiving() as receiver:
        receiver.answer = status(503)
        hold = await here.begin(receiver, "start", "completed")
        await receiver.until(lambda r: len(r.received) == 1)
        await here.quiet()
        receiver.answer = status(200)
        await here.end(receiver, hold)
        await receiver.until(lambda r: len(r.acknowledged) == 1, timeout=5)
        await here.quiet()
        here.world.wait(86400)
        here.dispatcher.wake()
        await here.pass_by(receiver)
        assert [item.event for item in receiver.of(hold.id)] == ["start", "completed"]
