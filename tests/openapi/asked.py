"""A server that schemathesis and random bytes are let loose on, and the things that its routes are about."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from support.receiver import receiving
from support.server import TOKEN, Server, model, serving

CONFIG = """
[server]
body_limit = 1_000_000
metrics = "token"
[webhooks]
v1a = true
[files]
limit = 500_000
[collections.tools]
name = "Tools"
description = "For tests."
models = ["test/echo"]
"""


@dataclass(frozen=True)
class Things:
    """What there is, by the path up to its placeholders and by the placeholder's name."""

    account: str
    version: str
    prediction: str
    delivery: str
    file: str
    download: str
    stream_key: str
    webhook: str

    def of(self, path: str) -> Mapping[str, str]:
        """Give real values for the placeholders of a path."""
        found = {"owner": "test", "name": "echo", "slug": "tools", "id": self.prediction}
        found |= {"key": self.stream_key}
        if path.startswith("/webhooks/deliveries/"):
            found["id"] = self.delivery
        if path.startswith(("/files/", "/f/")):
            found["id"] = self.file
        if "/versions/" in path:
            found["id"] = self.version
        if path.startswith("/deployments/"):
            found |= {"owner": self.account, "name": "tried"}
        return found


@asynccontextmanager
async def tried(folder: Path) -> AsyncIterator[tuple[Server, Things]]:
    """Serve, with one of everything."""
    config = folder / "ringback.toml"
    config.write_text(CONFIG)
    arguments = (model("test/echo", "echo"), "--config", str(config))
    async with receiving() as receiver, serving(*arguments, data=folder / "data") as server:
        created = await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
        await server.ended(created["id"])
        _, deliveries = await server.call("GET", "/webhooks/deliveries")
        _, account = await server.call("GET", "/account")
        deployment = {"name": "tried", "model": "test/echo", "version": created["version"]}
        scale = {"hardware": "cpu", "min_instances": 0, "max_instances": 1}
        status, _ = await server.call("POST", "/deployments", {**deployment, **scale})
        assert status == 200
        sent = await _sent(server)
        yield (
            server,
            Things(
                account["username"],
                created["version"],
                created["id"],
                deliveries["results"][0]["id"],
                sent["id"],
                sent["urls"]["download"].removeprefix(f"{server.url}/v1"),
                created["urls"]["stream"].rpartition("/")[2],
                receiver.url,
            ),
        )


async def _sent(server: Server) -> Any:
    form = aiohttp.FormData()
    form.add_field("content", b"some bytes", filename="a.txt", content_type="text/plain")
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with server.session.post(f"{server.url}/v1/files", data=form, headers=headers) as answer:
        return json.loads(await answer.read())
