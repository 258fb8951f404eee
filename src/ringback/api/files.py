"""GET /f/{id}/{name}: output files, by their unguessable id, without a token; and as data URIs."""

import asyncio
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ringback.api.ranges import HEADERS, disposition
from ringback.api.service import Service
from ringback.rules import data_uri
from ringback.rules.snapshot import Chunk
from ringback.store import files
from ringback.store.files import File
from ringback.words.errors import NotFound

INLINE_LIMIT = 10_000_000
"""Bytes of all files of an output that may be written into an answer."""

_AN_URL = r'"%s/f/([0-9a-hjkmnp-tv-z]{32})(?:/[A-Za-z0-9._-]*)?"(?!:)'
"""A whole JSON string (a quotation mark within one is escaped) that is no key of an object."""


async def download(here: Service, request: Request) -> Response:
    """Give a file's bytes; ranges are honoured."""
    file = await _found(here, str(request.path_params["id"]))
    path = None if file is None else _path(here, file)
    if file is None or path is None or not path.is_file():
        raise NotFound("File not found")
    return FileResponse(
        path,
        headers=HEADERS,
        media_type=file.content_type,
        filename=file.name,
        content_disposition_type=disposition(file.content_type),
    )


async def _found(here: Service, id_: str) -> File | None:
    return await here.outbox.database.read(lambda tx: files.get(tx, id_))


def _path(here: Service, file: File) -> Path:
    return Path(str(here.blobs.path(file.id)))


async def inlined(here: Service, chunks: list[Chunk]) -> list[Chunk]:
    """Give a prediction's chunks with its output files as data URIs in place of their URLs.

    The clients make files of `https:` and `data:` URLs only, and plain texts of all others: so this is done
    unless our own URLs are https. Outputs of more than `INLINE_LIMIT` bytes stay URLs, all of them.
    """
    if here.outbox.links.base.startswith("https:"):
        return chunks
    url = re.compile(_AN_URL % re.escape(here.outbox.links.base))
    ids = {match[1] for kind, data in chunks if kind != "logs" for match in url.finditer(data)}
    found = [file for id_ in sorted(ids) if (file := await _found(here, id_)) is not None]
    if not found or sum(file.size for file in found) > INLINE_LIMIT:
        return chunks
    try:
        uris = await asyncio.to_thread(_uris, {file.id: (_path(here, file), file) for file in found})
    except FileNotFoundError:  # removed meanwhile: its URL says so
        return chunks
    return [(kind, data if kind == "logs" else replaced(data, url, uris)) for kind, data in chunks]


def _uris(places: dict[str, tuple[Path, File]]) -> dict[str, str]:
    return {
        id_: data_uri.written(file.content_type, path.read_bytes()) for id_, (path, file) in places.items()
    }


def replaced(data: str, url: re.Pattern[str], uris: dict[str, str]) -> str:
    """Put data URIs in place of the URLs of files in canonical JSON; those of unknown files stay."""
    return url.sub(lambda match: f'"{uris[match[1]]}"' if match[1] in uris else match[0], data)
