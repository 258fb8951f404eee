"""A name that an account has taken is not served: it could change what would run for everybody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from api.asking import Answer, ask
from commands.running import run
from serve.starting import refused
from support.server import Server, model, serving

TAKEN = "bert/words"
WANTED = {"owner": "bert", "name": "words", "visibility": "public", "hardware": "cpu"}
TOLD = (
    "model bert/words: the account bert has made a model of this name over the API; serve yours "
    "under another name, or delete that one first (DELETE /v1/models/bert/words with a token of bert)"
)


@asynccontextmanager
async def visited(data: Path) -> AsyncIterator[tuple[Server, str]]:
    """A server where an account has made a model, and that account's token."""
    async with serving(model("test/line", "line"), data=data) as server:
        token = (await run("token", "new", "--account", "bert", data=data)).out.strip()
        made = await ask(server, "POST", "/v1/models", WANTED, token=token)
        assert made.status == 201, made.body
        yield server, token


async def test_a_server_does_not_start_to_serve_what_another_account_has_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with visited(data):
        pass
    assert refused(data, model(TAKEN, "echo")).line == TOLD
    async with serving(model("test/line", "line"), data=data) as server:
        found = await ask(server, "GET", f"/v1/models/{TAKEN}")
        assert (found.status, found.json["latest_version"]) == (200, None)


async def test_models_add_refuses_it_until_it_is_deleted_and_then_it_is_everybodys(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with visited(data) as (server, token):
        assert (await run("models", "add", model(TAKEN, "echo"), data=data)).complaint == TOLD
        assert (await ask(server, "DELETE", f"/v1/models/{TAKEN}", token=token)).status == 204
        ran = await run("models", "add", model(TAKEN, "echo"), data=data)
        assert (ran.code, ran.err) == (0, "")
        change = {"description": "mine"}
        assert (await ask(server, "PATCH", f"/v1/models/{TAKEN}", change, token=token)).status == 403
        assert (await _trained_into(server, token)).status == 404
        assert (await ask(server, "PATCH", f"/v1/models/{TAKEN}", change)).status == 200


async def _trained_into(server: Server, token: str) -> Answer:
    line = (await ask(server, "GET", "/v1/models/test/line")).json["latest_version"]["id"]
    body = {"destination": TAKEN, "input": {"points": "data:text/csv,1%2C3%0A2%2C6"}}
    return await ask(server, "POST", f"/v1/models/test/line/versions/{line}/trainings", body, token=token)


async def test_what_the_first_account_made_is_served_as_everybodys(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with visited(data) as (server, token):
        wanted = {**WANTED, "owner": "acme", "visibility": "private"}
        assert (await ask(server, "POST", "/v1/models", wanted)).status == 201
        assert (await ask(server, "GET", "/v1/models/acme/words", token=token)).status == 404
        ran = await run("models", "add", model("acme/words", "echo"), data=data)
        assert (ran.code, ran.err) == (0, "")
        found = await ask(server, "GET", "/v1/models/acme/words", token=token)
        assert (found.status, found.json["visibility"]) == (200, "public")
        body = {"version": "acme/words", "input": {"text": "hi"}}
        assert (await ask(server, "POST", "/v1/predictions", body, token=token)).status == 201
