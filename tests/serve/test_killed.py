"""kill -9 with a prediction running: what nobody has seen runs again, what somebody has seen fails."""

from pathlib import Path

from ringback.rules.prediction import INTERRUPTED
from serve.starting import GATE, Gate, Mark
from support.receiver import receiving
from support.server import serving


async def test_what_nobody_has_seen_runs_again(tmp_path: Path, gate: Gate) -> None:
    mark = Mark()
    async with receiving() as receiver:
        async with serving(GATE, data=tmp_path / "data", env=mark.env) as server:
            created = await server.create(
                "test/gate", gate.input, webhook=receiver.url, webhook_events_filter=["start", "completed"]
            )
            await gate.arrived()
            await receiver.until(lambda r: len(r.acknowledged) == 1)
            server.kill()
            await server.stopped()
            assert mark.left() == []
        gate.open()
        async with serving(GATE, data=tmp_path / "data") as server:
            await gate.arrived()
            gate.open()
            ended = await server.ended(created["id"])
            assert (ended["status"], ended["output"]) == ("succeeded", ["before", "after"])
            assert ended["logs"] == "before the gate\n"
            await receiver.until(lambda r: r.acknowledged[-1].event == "completed")
            # The start may come again, as the same event: the kill may have cut off its record.
            assert [event for event, _ in sorted({(i.event, i.id) for i in receiver.received})] == [
                *("completed", "start")
            ]
            assert "1 run again" in server.log()


async def test_what_somebody_has_seen_fails_and_says_so(tmp_path: Path, gate: Gate) -> None:
    async with receiving() as receiver:
        async with serving(GATE, data=tmp_path / "data") as server:
            created = await server.create(
                "test/gate", gate.input, webhook=receiver.url, webhook_events_filter=["output", "completed"]
            )
            await gate.arrived()
            await receiver.until(lambda r: len(r.acknowledged) == 1)
            server.kill()
            await server.stopped()
        gate.open()
        async with serving(GATE, data=tmp_path / "data") as server:
            await receiver.until(lambda r: len(r.acknowledged) == 2)
            item = receiver.acknowledged[-1]
            assert (item.event, item.prediction["status"]) == ("completed", "failed")
            assert item.prediction["error"] == INTERRUPTED
            assert item.prediction["output"] == ["before"]
            _, shown = await server.call("GET", f"/v1/predictions/{created['id']}")
            assert shown == item.prediction


async def test_a_second_kill_is_one_too_many(tmp_path: Path, gate: Gate) -> None:
    created = None
    for _ in range(2):
        async with serving(GATE, data=tmp_path / "data") as server:
            created = created or await server.create("test/gate", gate.input)
            await gate.arrived()
            await server.reached(created["id"], "processing")  # recorded: what is not, was not begun
            server.kill()
            await server.stopped()
        gate.open()
    assert created is not None
    async with serving(GATE, data=tmp_path / "data") as server:
        ended = await server.ended(created["id"])
        assert (ended["status"], ended["error"]) == ("failed", INTERRUPTED)
