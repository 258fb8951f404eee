"""One id, one body: from one attempt to the next only the proof that it is fresh is new."""

from pathlib import Path

from promises.house import SECRET, house
from ringback.rules.retry import SECOND
from ringback.words.signature import verify
from support.receiver import receiving, status


async def test_each_attempt_is_signed_at_its_own_time_over_the_same_id_and_body(tmp_path: Path) -> None:
    begun = []
    async with house(tmp_path) as here, receiving() as receiver:
        receiver.answer = status(503)
        hold = await here.running(receiver, "completed")
        await here.end(receiver, hold)
        for attempt in (1, 2, 3):
            begun.append(here.world.now // SECOND)
            await receiver.until(lambda r, attempt=attempt: len(r.received) == attempt, timeout=5)  # type: ignore[misc] # bound now
            await here.quiet()
            here.world.wait(3600)
            here.dispatcher.wake()
    for item, at in zip(receiver.received, begun, strict=False):
        stamp = item.headers["webhook-timestamp"]
        assert int(stamp) == at
        verify(SECRET, item.id, stamp, item.body, item.headers["webhook-signature"], now=at)
    assert {item.id for item in receiver.received} == {f"evt_{hold.id}_1"}
    assert len({item.body for item in receiver.received}) == 1
