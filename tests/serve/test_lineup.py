"""Models that are added, taken away and loaded anew while a server runs, and what a restart makes of them."""

import asyncio
import shutil
from pathlib import Path

from commands.running import run
from support.receiver import receiving
from support.server import MODELS, model, serving

ECHO = model("test/echo", "echo")
COMPLETED = ["completed"]


def speaker(folder: Path, says: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "cog.yaml").write_text("run: predict.py:run\n")
    (folder / "predict.py").write_text(f"def run(text: str) -> str:\n    return {says!r} + text\n")
    return folder


async def test_nothing_is_lost_and_nothing_fails_while_models_are_reloaded_under_load(
    tmp_path: Path,
) -> None:
    folder, data = speaker(tmp_path / "model", "v0 "), tmp_path / "data"
    async with receiving() as receiver, serving(f"test/speaker={folder}", data=data) as server:
        told: list[str] = []
        reloading = True

        async def load() -> None:
            while reloading:
                created = await server.create(
                    "test/speaker", {"text": "x"}, webhook=receiver.url, webhook_events_filter=COMPLETED
                )
                told.append(created["id"])

        loading = asyncio.create_task(load())
        versions = {}
        for number in range(1, 4):
            speaker(folder, f"v{number} ")
            ran = await run("models", "reload", "test/speaker", data=data)
            assert (ran.code, ran.err) == (0, "")
            versions[ran.out.split()[-1]] = f"v{number} x"
        reloading = False
        await loading
        ends = [await server.ended(id_) for id_ in told]
        assert {end["status"] for end in ends} == {"succeeded"}
        for end in ends:
            assert end["output"] == versions.get(end["version"], "v0 x")
        assert len({end["version"] for end in ends}) > 1
        last = await server.create("test/speaker", {"text": "x"})
        assert (await server.ended(last["id"]))["output"] == "v3 x"
        await receiver.until(lambda r: {item.prediction["id"] for item in r.acknowledged} == set(told))


async def test_a_model_that_was_added_is_served_after_a_restart_and_one_whose_folder_is_gone_stops_nothing(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    stays, goes = speaker(tmp_path / "stays", "here "), speaker(tmp_path / "goes", "there ")
    async with serving(ECHO, data=data) as server:
        for name, folder in (("test/stays", stays), ("test/goes", goes)):
            ran = await run("models", "add", f"{name}={folder}", "--set", "max_replicas=2", data=data)
            assert (ran.code, ran.err) == (0, "")
        ends = [
            await server.create("test/stays", {"text": "a"}),
            await server.create("test/goes", {"text": "a"}),
        ]
        assert [(await server.ended(each["id"]))["output"] for each in ends] == ["here a", "there a"]
        server.kill()
        await server.stopped()
    shutil.rmtree(goes)
    async with serving(ECHO, data=data) as server:
        assert "model test/goes, which was added by command, is not served:" in server.log()
        created = await server.create("test/stays", {"text": "b"})
        assert (await server.ended(created["id"]))["output"] == "here b"
        listed = (await run("models", "list", data=data)).out
        assert "test/stays" in listed
        assert "test/goes" not in listed


async def test_a_model_that_was_taken_away_stays_away(tmp_path: Path) -> None:
    data = tmp_path / "data"
    folder = speaker(tmp_path / "model", "here ")
    async with serving(ECHO, data=data) as server:
        assert (await run("models", "add", f"test/speaker={folder}", data=data)).code == 0
        await server.create("test/speaker", {"text": "a"})
        assert (await run("models", "remove", "test/speaker", data=data)).code == 0
        status, _ = await server.call(
            "POST", "/v1/predictions", {"version": "test/speaker", "input": {"text": "a"}}
        )
        assert status == 422
        refused = await run("models", "remove", "test/echo", data=data)
        assert "test/echo is of the configuration or the command line" in refused.complaint
    async with serving(ECHO, data=data) as server:
        assert "test/speaker" not in (await run("models", "list", data=data)).out


async def test_a_model_on_hardware_that_is_not_configured_is_not_added(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(ECHO, data=data):
        ran = await run("models", "add", f"test/x={MODELS / 'echo'}", "--set", "hardware=gpu", data=data)
        assert "there is no [hardware.gpu]" in ran.complaint
        assert "test/x" not in (await run("models", "list", data=data)).out
