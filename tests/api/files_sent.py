"""Sending files as anybody could, and what lies in the data folder afterwards."""

import asyncio
import io
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.asking import Answer, ask
from ringback.words.ids import digest
from support.server import Server

BOUNDARY = "----a-boundary"
STRANGER = "r8_token_of_somebody_else_000000000000000"


def part(name: str, content: bytes, filename: str | None = None, kind: str | None = None) -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n'
    typed = "" if kind is None else f"Content-Type: {kind}\r\n"
    return f"{head}{typed}\r\n".encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def send(server: Server, body: Any, *, boundary: str = BOUNDARY, **more: Any) -> Answer:
    """POST /files with a body as it is: bytes, or what gives them (then it is sent in chunks)."""
    headers = {"content-type": f"multipart/form-data; boundary={boundary}", **more.pop("headers", {})}
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    return await ask(server, "POST", "/v1/files", data, headers=headers, **more)


async def sent(
    server: Server, content: bytes = b"hello", name: str = "a.txt", kind: str = "text/plain"
) -> Any:
    """Send a file; it must be accepted."""
    answer = await send(server, form(part("content", content, name, kind)))
    assert answer.status == 201, answer.body
    return answer.json


@dataclass(frozen=True)
class Folder:
    """A server's data folder."""

    path: Path

    def blobs(self) -> list[str]:
        """All files below uploads/, half written ones too."""
        return sorted(path.name for path in (self.path / "uploads").rglob("*") if path.is_file())

    def rows(self) -> list[str]:
        with sqlite3.connect(self.path / "ringback.sqlite") as connection:
            return [row[0] for row in connection.execute("SELECT id FROM uploads ORDER BY id")]

    def set_expiry(self, id_: str, at_us: int) -> None:
        with sqlite3.connect(self.path / "ringback.sqlite") as connection:
            connection.execute("UPDATE uploads SET expires_at = ? WHERE id = ?", (at_us, id_))

    def expiry(self, id_: str) -> Any:
        with sqlite3.connect(self.path / "ringback.sqlite") as connection:
            return connection.execute("SELECT expires_at FROM uploads WHERE id = ?", (id_,)).fetchone()[0]

    def add_stranger(self) -> None:
        """Make another account with a token."""
        with sqlite3.connect(self.path / "ringback.sqlite") as connection:
            connection.execute("INSERT INTO accounts (id, username, created_at) VALUES ('acct_x', 'x', 1)")
            connection.execute(
                "INSERT INTO tokens (digest, account_id, name, created_at) VALUES (?, 'acct_x', 'x', 1)",
                (digest(STRANGER),),
            )

    async def until(self, server: Server, holds: Callable[[list[str]], bool]) -> None:
        """Wait until `holds` of the names below uploads/; the server is asked something in between."""
        async with asyncio.timeout(20):
            while not holds(self.blobs()):
                await server.call("GET", "/health")
