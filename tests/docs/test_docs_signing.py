"""The recipes for v1a and with openssl, run as printed on a real request with the keys of a real server."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from docs.pages import Block, blocks, section
from ringback.words.ed25519 import new_key, signing_key, thumbprint
from ringback.words.signature import sign
from support.node import CLIENTS, NODE
from support.receiver import receiving
from support.server import TOKEN, Server, model, serving

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here"),
]
ADDRESS = "http://127.0.0.1:5050"


@dataclass(frozen=True)
class Request:
    """A request as a receiver gets it."""

    headers: dict[str, str]
    body: str

    def having(self, name: str, value: str) -> "Request":
        return replace(self, headers={**self.headers, name: value})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server in the middle of a rotation of its secret and of its key pair."""
    folder = tmp_path_factory.mktemp("signing")
    config = folder / "ringback.toml"
    config.write_text("[webhooks]\nv1a = true\n")
    async with serving(model("test/echo", "echo"), "--config", str(config), data=folder / "data") as server:
        for what in ("secret", "key"):
            assert (await server.call("POST", f"/v1/webhooks/default/{what}/rotate"))[0] == 200
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(server: Server) -> Request:
    async with receiving() as receiver:
        await server.create("test/echo", {"text": 'thé "😀"'}, webhook=receiver.url)
        await receiver.until(lambda r: len(r.acknowledged) == 1)
        (item,) = receiver.received
        return Request(item.headers, item.body.decode())


def refusals(real: Request) -> dict[str, Request]:
    """The request in every way that must be refused."""
    id_, stamp = real.headers["webhook-id"], int(real.headers["webhook-timestamp"])
    stranger = signing_key(new_key(os.urandom))
    entries = real.headers["webhook-signature"].split(" ")
    return {
        "body altered": replace(real, body=real.body.replace("succeeded", "canceled")),
        "id altered": real.having("webhook-id", id_ + "1"),
        "timestamp altered": real.having("webhook-timestamp", str(stamp - 1)),
        "another's key": real.having(
            "webhook-signature", sign([], id_, stamp, real.body.encode(), [stranger])
        ),
        "secrets alone": real.having("webhook-signature", " ".join(entries[:4])),
        "too old": real.having("webhook-timestamp", str(int(time.time()) - 3600)),
    }


def run(command: list[str], folder: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **env},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def at(server: Server, block: Block) -> str:
    """The block's text, for this server."""
    assert ADDRESS in block.text
    return block.text.replace(ADDRESS, server.url)


@pytest.mark.parametrize("block", blocks("run", "v1a python"), ids=str)
async def test_the_python_recipe_accepts_a_real_request_and_nothing_else(
    block: Block, server: Server, real: Request
) -> None:
    names: dict[str, Any] = {}
    exec(at(server, block), names)
    accept = names["accept"]
    assert await asyncio.to_thread(accept, real.headers, real.body) == json.loads(real.body)
    for case in refusals(real).values():
        with pytest.raises(ValueError, match=r"not signed by this server|too old"):
            accept(case.headers, case.body)


CALLER = """
import { accept } from "./snippet.mjs";
import { text } from "node:stream/consumers";

const found = {};
for (const [name, { headers, body }] of Object.entries(JSON.parse(await text(process.stdin)))) {
  found[name] = await accept(headers, body).catch(() => null);
}
console.log(JSON.stringify(found));
"""


@pytest.mark.parametrize("block", blocks("run", "v1a node"), ids=str)
async def test_the_node_recipe_accepts_a_real_request_and_nothing_else(
    block: Block, server: Server, real: Request, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(CLIENTS / "node_modules")
    (tmp_path / "snippet.mjs").write_text(at(server, block))
    (tmp_path / "caller.mjs").write_text(CALLER)
    asked = {"real": real, **refusals(real)}
    sent = json.dumps({name: {"headers": each.headers, "body": each.body} for name, each in asked.items()})
    done = run([str(NODE), "caller.mjs"], tmp_path, stdin=sent)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {**dict.fromkeys(asked), "real": json.loads(real.body)}


def shell(text: str, folder: Path, case: Request, **more: str) -> subprocess.CompletedProcess[str]:
    (folder / "body.json").write_text(case.body)
    told = {
        "WEBHOOK_ID": case.headers["webhook-id"],
        "WEBHOOK_TIMESTAMP": case.headers["webhook-timestamp"],
        "WEBHOOK_SIGNATURE": case.headers["webhook-signature"],
    }
    return run(["sh", "-c", text], folder, **told, **more)


async def test_openssl_finds_a_real_request_signed_by_the_key_and_an_altered_one_not(
    server: Server, real: Request, tmp_path: Path
) -> None:
    (block,) = blocks("run", "v1a shell")
    done = shell(at(server, block), tmp_path, real)
    assert (done.returncode, done.stdout) == (0, "Signature Verified Successfully\n"), done.stderr
    for name in ("body altered", "id altered", "timestamp altered", "another's key"):
        done = shell(at(server, block), tmp_path, refusals(real)[name])
        assert (done.returncode, done.stdout) == (1, "Signature Verification Failure\n"), name


async def test_openssl_makes_the_first_entry_of_a_real_request_signed_with_two_secrets_and_two_keys(
    server: Server, real: Request, tmp_path: Path
) -> None:
    (block,) = blocks("run", "shell")
    done = shell(block.text, tmp_path, real, REPLICATE_WEBHOOK_SECRET=await server.secret())
    assert f"v1,{done.stdout.strip()}" == real.headers["webhook-signature"].split(" ")[0]


def steps() -> Iterator[str]:
    for block in blocks("run", "rotate"):
        yield from block.text.strip().splitlines()


async def test_the_calls_of_a_rotation_are_answered(server: Server, tmp_path: Path) -> None:
    for line in steps():
        text = line.replace(ADDRESS, server.url).replace("curl ", "curl -sS --fail ", 1)
        done = run(["sh", "-c", text], tmp_path, REPLICATE_API_TOKEN=TOKEN)
        assert done.returncode == 0, line
        json.loads(done.stdout)


async def test_the_public_key_on_the_page_has_its_own_name() -> None:
    (text,) = [line for line in section("webhooks.md", "## Verifying").splitlines() if '"kty"' in line]
    (jwk,) = json.loads(text)["keys"]
    assert jwk["kid"] == thumbprint(base64.urlsafe_b64decode(jwk["x"] + "="))
