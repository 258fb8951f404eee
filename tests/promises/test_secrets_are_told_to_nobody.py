"""No secret, private key or token in anything that a server says, through all of its life."""

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ringback.assembly.world import World
from support.receiver import Receiver, receiving, status
from support.server import TOKEN, Server, model, serving

ECHO = model("test/echo", "echo")
SETTINGS = '[server]\nlog_level = "debug"\n[webhooks]\nv1a = true\nretry_base_s = 0.05\n'


def kept(data: Path) -> list[str]:
    """The secrets and private keys of a data folder."""
    with closing(sqlite3.connect(data / "ringback.sqlite")) as database:
        found = database.execute("SELECT key FROM secrets UNION ALL SELECT key FROM signing_keys")
        return [str(row[0]) for row in found]


def spellings(key: str) -> Iterator[str]:
    """How a key could be written, by whoever means to or not."""
    encoded = key.partition("_")[2]
    private = base64.b64decode(encoded)[:32]
    yield encoded
    yield private.hex()
    yield base64.b64encode(private).decode().rstrip("=")[:42]
    yield base64.urlsafe_b64encode(private).decode().rstrip("=")
    yield str(private)[2:-1]


async def rung(server: Server, receiver: Receiver) -> None:
    """A delivery that fails at first."""
    receiver.answer = lambda item: status(503 if item.attempt == 1 else 204)(item)
    done = len(receiver.acknowledged)
    await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
    await receiver.until(lambda r: len(r.acknowledged) > done)


async def ended(server: Server) -> str:
    """Stop the server; give all that it said."""
    server.process.terminate()
    assert await server.stopped() == 0
    assert server.process.stdout is not None
    return server.process.stdout.read().decode() + server.log()


async def test_no_secret_private_key_or_token_is_in_anything_a_server_says_through_a_whole_life(
    tmp_path: Path,
) -> None:
    config, data = tmp_path / "ringback.toml", tmp_path / "data"
    config.write_text(SETTINGS)
    said = ""
    async with receiving() as receiver:
        async with serving(ECHO, "--config", str(config), data=data) as server:
            await rung(server, receiver)
            for path in ("secret/rotate", "key/rotate", "secret/rotate"):
                assert (await server.call("POST", f"/v1/webhooks/default/{path}"))[0] == 200
            for path in ("secrets", "secret"):
                assert (await server.call("GET", f"/v1/webhooks/default/{path}"))[0] == 200
            wrong = {"authorization": "Bearer r8_a_wrong_token"}
            assert (await server.call("GET", "/v1/webhooks/default/secret", headers=wrong))[0] == 401
            await rung(server, receiver)
            said += await ended(server)
        async with serving(ECHO, "--config", str(config), data=data) as server:
            await rung(server, receiver)
            server.kill()
            await server.stopped()
            said += server.log()
        async with serving(ECHO, "--config", str(config), data=data) as server:
            await rung(server, receiver)
            said += await ended(server)
    keys = kept(data)
    assert [key.partition("_")[0] for key in keys] == ["whsec", "whsec", "whsk", "whsk"]
    # The one that was killed may have had no time to say what came of its last attempt.
    assert min(said.count("acknowledged with 204"), said.count("answered 503")) >= 3
    told = [text for key in keys for text in spellings(key) if text in said]
    assert told == []
    assert TOKEN not in said
    assert "r8_a_wrong_token" not in said


def test_what_comes_from_outside_does_not_show_the_token() -> None:
    assert TOKEN not in repr(World(token=TOKEN))
