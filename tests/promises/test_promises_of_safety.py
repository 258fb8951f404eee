"""What is nobody's business is told to nobody: not to the log, and not to a model."""

from pathlib import Path

from support.receiver import receiving, status
from support.server import TOKEN, model, serving


async def test_a_failing_webhook_leaves_nothing_secret_in_the_log(tmp_path: Path) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text('[server]\nlog_level = "debug"\n')
    async with (
        receiving() as receiver,
        serving(model("test/echo", "echo"), "--config", str(config), data=tmp_path / "data") as server,
    ):
        receiver.answer = status(302, {"location": "http://127.0.0.1/new?key=location-secret"})
        url = receiver.url.replace("http://", "http://someone:password-secret@") + "?key=query-secret"
        await server.create("test/echo", {"text": "input-secret"}, webhook=url)
        await receiver.until(lambda r: len(r.received) == 1)
        signing = await server.secret()
        server.process.terminate()
        assert await server.stopped() == 0
        log = server.log()
        assert "answered 302" in log
        for secret in ("location-secret", "password-secret", "query-secret", "input-secret", signing, TOKEN):
            assert secret not in log


async def test_a_model_is_not_given_the_token(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "cog.yaml").write_text("run: predict.py:run")
    (folder / "predict.py").write_text(
        "import os\n\ndef run() -> list[str]:\n    return [f'{k}={os.environ[k]}' for k in os.environ]\n"
    )
    async with serving(f"test/curious={folder}", data=tmp_path / "data", env={"CANARY": "seen"}) as server:
        created = await server.create("test/curious", {})
        found = (await server.ended(created["id"]))["output"]
        assert "CANARY=seen" in found
        assert TOKEN not in "\n".join(found)
