"""The main job: create, run, ring back signed; again if nobody answered; nothing lost to a crash."""

import json
from pathlib import Path

from ringback.words.signature import verify
from support.receiver import Received, receiving, status
from support.server import model, serving

ECHO = model("test/echo", "echo")


def signed(item: Received, secret: str) -> None:
    timestamp = item.headers["webhook-timestamp"]
    verify(secret, item.id, timestamp, item.body, item.headers["webhook-signature"], now=int(timestamp))


async def test_a_prediction_rings_back_signed(tmp_path: Path) -> None:
    async with receiving() as receiver, serving(ECHO, data=tmp_path / "data") as server:
        created = await server.create("test/echo", {"text": "hi"}, webhook=receiver.url + "?a=1")
        assert created["status"] == "starting"
        await receiver.until(lambda r: len(r.acknowledged) == 1)
        (item,) = receiver.received
        signed(item, await server.secret())
        assert item.path == "/hook?a=1"
        assert item.event == "completed"
        assert item.id == f"evt_{created['id']}_1"
        assert item.prediction["status"] == "succeeded"
        assert item.prediction["output"] == "hi"
        _, shown = await server.call("GET", f"/v1/predictions/{created['id']}")
        assert json.loads(item.body) == shown


async def test_a_failed_delivery_is_sent_again_with_the_same_id_and_body(tmp_path: Path) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text("[webhooks]\nretry_base_s = 0.05\n")
    async with (
        receiving() as receiver,
        serving(ECHO, "--config", str(config), data=tmp_path / "data") as server,
    ):
        receiver.answer = status(503)
        await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
        await receiver.until(lambda r: len(r.received) >= 2)
        receiver.answer = status(204)
        await receiver.until(lambda r: len(r.acknowledged) == 1)
        assert len({item.id for item in receiver.received}) == 1
        assert len({item.body for item in receiver.received}) == 1
        assert [item.attempt for item in receiver.received] == list(range(1, len(receiver.received) + 1))
        assert "answered 503" in server.log()


async def test_what_was_owed_when_the_server_was_killed_is_delivered_after_a_restart(tmp_path: Path) -> None:
    async with receiving() as receiver:
        receiver.hold()
        async with serving(ECHO, data=tmp_path / "data") as server:
            created = await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
            await receiver.until(lambda r: r.held == 1)
            server.kill()
            await server.stopped()
        receiver.release()
        async with serving(ECHO, data=tmp_path / "data") as server:
            await receiver.until(lambda r: len(r.received) == 2 and r.received[1] in r.acknowledged)
            first, second = receiver.received
            assert (first.id, first.body) == (second.id, second.body)
            assert second.attempt == 2
            assert (await server.ended(created["id"]))["status"] == "succeeded"
