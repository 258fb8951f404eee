"""The token that is made at the first start: shown once, kept only as a digest."""

import asyncio
import re
from pathlib import Path

from api.asking import ask
from serve.starting import refused
from support.server import TOKEN, Server, serving

NO_TOKEN = {"REPLICATE_API_TOKEN": ""}
_TOKEN = re.compile(r"\br8_[0-9a-z]+\b")


async def greeting(server: Server) -> str:
    """What the server says after its first line until SIGTERM has ended it."""
    server.process.terminate()
    assert await server.stopped() == 0
    assert server.process.stdout is not None
    return (await asyncio.to_thread(server.process.stdout.read)).decode()


async def test_a_token_is_made_at_the_first_start_and_shown_only_then(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data=data, env=NO_TOKEN) as server:
        assert (await ask(server, "GET", "/v1/predictions")).status == 401  # the suite's own is unknown here
        first = await greeting(server)
    (token,) = set(_TOKEN.findall(first))
    assert len(token) == 40  # as Replicate's
    assert f"export REPLICATE_API_TOKEN={token}" in first
    async with serving(data=data, env=NO_TOKEN) as server:
        assert (await ask(server, "GET", "/v1/predictions", token=token)).status == 200
        assert _TOKEN.search(await greeting(server)) is None
        assert token not in server.log()
    kept = [path for path in data.rglob("*") if path.is_file()]
    assert any(path.name == "ringback.sqlite" for path in kept)
    assert not any(token.encode() in path.read_bytes() for path in kept)


async def test_no_token_is_made_where_one_is_given(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data=data) as server:
        assert (await ask(server, "GET", "/v1/predictions")).status == 200
        said = await greeting(server)
    assert _TOKEN.search(said) is None
    assert "the one in REPLICATE_API_TOKEN" in said
    assert not any(TOKEN.encode() in path.read_bytes() for path in data.rglob("*") if path.is_file())


async def test_the_greeting_leads_to_the_documentation_and_says_how_a_model_is_added(tmp_path: Path) -> None:
    data = tmp_path / "the data"
    async with serving(data=data) as server:
        (docs,) = re.findall(r"^  docs +(\S+)$", text := await greeting(server), re.MULTILINE)
        assert docs == f"{server.url}/docs"
    assert f"  models  none yet: ringback models add OWNER/NAME=DIR --data '{data}'\n" in text


async def test_a_first_start_that_fails_costs_nobody_the_token(tmp_path: Path) -> None:
    """What was made and never shown would lock everybody out."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "cog.yaml").write_text("run: predict.py:run")
    (model / "predict.py").write_text("raise RuntimeError('not yet')")
    assert "not yet" in refused(tmp_path / "data", f"test/model={model}", env=NO_TOKEN).line
    async with serving(data=tmp_path / "data", env=NO_TOKEN) as server:
        assert _TOKEN.search(await greeting(server)) is not None
