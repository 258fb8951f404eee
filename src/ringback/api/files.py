"""GET /f/{id}/{name}: output files, by their unguessable id, without a token."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ringback.api.service import Service
from ringback.store import files
from ringback.words.errors import NotFound

_HARMLESS = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/", "text/plain")
_HEADERS = {
    # A model's output is not ours to trust: it must not run as a page of this origin.
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "cache-control": "private, max-age=86400, immutable",
}


async def download(here: Service, request: Request) -> Response:
    """Give a file's bytes; ranges are honoured."""
    id_ = str(request.path_params["id"])
    file = await here.outbox.database.read(lambda tx: files.get(tx, id_))
    path = None if file is None else Path(str(here.blobs.path(file.id)))
    if file is None or path is None or not path.is_file():
        raise NotFound("File not found")
    shown = file.content_type.startswith(_HARMLESS)
    return FileResponse(
        path,
        headers=_HEADERS,
        media_type=file.content_type,
        filename=file.name,
        content_disposition_type="inline" if shown else "attachment",
    )
