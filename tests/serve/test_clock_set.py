"""A whole server on a machine whose wall clock steps while it runs, or while it is off."""

import sys
from pathlib import Path

import pytest
from aiohttp import web

from support.receiver import receiving
from support.server import model, serving

COMMAND = [sys.executable, str(Path(__file__).parent / "stepping_server.py")]


@pytest.mark.parametrize("hours", ["1", "-1"])
async def test_with_an_hour_to_and_fro_at_every_look_all_goes_out(tmp_path: Path, hours: str) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text("[webhooks]\nretry_base_s = 0.2\nthrottle_s = 0.1\n")
    async with (
        receiving() as receiver,
        serving(
            model("test/tokens", "tokens"),
            "--config",
            str(config),
            data=tmp_path / "data",
            command=COMMAND,
            env={"RINGBACK_TEST_STEP": hours},
        ) as server,
    ):
        receiver.answer = lambda item: web.Response(status=422 if item.attempt <= 3 else 200)
        created = await server.create(
            "test/tokens",
            {"text": "a b c d"},
            webhook=receiver.url,
            webhook_events_filter=["output", "completed"],
        )
        await receiver.until(lambda it: any(item.event == "completed" for item in it.acknowledged))
        ended = await server.ended(created["id"])
        assert ended["status"] == "succeeded"
        assert ended["completed_at"] >= ended["started_at"] >= ended["created_at"]
        numbers = [item.number for item in receiver.received]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("hours", ["-1", "-87600", "1"])
async def test_what_waits_goes_out_after_a_start_with_the_clock_set_meanwhile(
    tmp_path: Path, hours: str
) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text("[webhooks]\nretry_base_s = 2.0\n")
    arguments = (model("test/echo", "echo"), "--config", str(config))
    async with receiving() as receiver:
        receiver.answer = lambda item: web.Response(status=422 if item.attempt == 1 else 200)
        async with serving(*arguments, data=tmp_path / "data") as server:
            await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
            await receiver.until(lambda it: len(it.received) == 1)
            while "attempt 1" not in server.log():  # its outcome is recorded before it is logged
                await server.call("GET", "/health")
            server.kill()
            await server.stopped()
        environment = {"RINGBACK_TEST_OFF": hours}
        async with serving(*arguments, data=tmp_path / "data", command=COMMAND, env=environment):
            await receiver.until(lambda it: len(it.acknowledged) == 1)
        assert [item.attempt for item in receiver.received] == [1, 2]
