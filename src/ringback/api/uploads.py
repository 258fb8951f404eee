"""Files that people send, for their predictions: taken, listed, shown, removed, downloaded.

Bodies: replicate.com/docs/reference/http#files.create.
"""

import contextlib
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import paging
from ringback.api.file_fields import describe
from ringback.api.form import Form
from ringback.api.ranges import ranged
from ringback.api.service import Service
from ringback.blobs.store import MissingBlobError, Sums, size_fault
from ringback.rules.file_url import download_url, may_download, metadata_url
from ringback.rules.retry import SECOND
from ringback.rules.snapshot import timestamp
from ringback.store import uploads
from ringback.store.uploads import Upload
from ringback.words.errors import NotFound, Unavailable
from ringback.words.ids import PREDICTION_ID

_PAGE = 100
_AROUND = 200_000
"""Bytes of a form beside its file."""


async def create(here: Service, request: Request) -> Response:
    """POST /files: 201 once the file is durable, bytes and row."""
    account = await here.authenticator.account(request)
    kept = here.uploads
    form = Form(request, kept.limit + _AROUND, size_fault(kept.limit))
    now = here.clock()
    id_ = here.ids.make(now)
    stored = False

    async def store(pieces: AsyncIterator[bytes]) -> Sums:
        nonlocal stored
        sums = await kept.blobs.put(id_, pieces, kept.limit)
        stored = True
        return sums

    try:
        read = await form.read("content", store)
        described = describe(read.fields, read.large)
        assert read.large is not None  # noqa: S101 - `describe` has seen to it
        sums = read.large[1]
        upload = Upload(
            id_,
            account,
            None,
            described.name,
            described.content_type,
            sums.size,
            sums.md5,
            sums.sha256,
            described.metadata,
            now,
            now + kept.keep_us,
        )
        await here.outbox.database.write(lambda tx: uploads.add(tx, upload))
    except Exception:  # whatever it was, the caller hears of it: nothing may be left
        if stored:
            await _removed(here, id_)
        raise
    return _json(rendered(here, upload), 201)


async def _removed(here: Service, id_: str) -> None:
    """Remove the bytes of what has no row. If that fails the next start does it."""
    with contextlib.suppress(Unavailable):
        await here.uploads.blobs.remove([id_])


def rendered(here: Service, upload: Upload) -> bytes:
    """Give a file as JSON; its fields and their order are Replicate's, with `urls.download` besides."""
    base = here.links.base
    expiry = (upload.expires_at or here.clock() + here.uploads.keep_us) // SECOND
    body = {
        "id": upload.id,
        "name": upload.name,
        "content_type": upload.content_type,
        "size": upload.size,
        "etag": upload.md5,
        "checksums": {"sha256": upload.sha256, "md5": upload.md5},
        "metadata": msgspec.Raw(upload.metadata.encode()),
        "created_at": timestamp(upload.created_at),
        "expires_at": None if upload.expires_at is None else timestamp(upload.expires_at),
        "urls": {
            "get": metadata_url(base, upload.id),
            "download": download_url(base, here.uploads.key, upload.account, upload.id, expiry),
        },
    }
    return msgspec.json.encode(body)


async def get(here: Service, request: Request) -> Response:
    """GET /files/{id}: what it is, not its bytes."""
    account = await here.authenticator.account(request)
    return _json(rendered(here, await _found(here, account, _id(request))))


def _id(request: Request) -> str:
    id_ = str(request.path_params["id"])
    if not PREDICTION_ID.fullmatch(id_):
        raise _not_found()
    return id_


async def _found(here: Service, account: str, id_: str) -> Upload:
    upload = await here.outbox.database.read(lambda tx: uploads.get(tx, account, id_))
    if upload is None:
        raise _not_found()
    return upload


def _not_found() -> NotFound:
    return NotFound("File not found")


async def index(here: Service, request: Request) -> Response:
    """GET /files: newest first, a page at a time."""
    account = await here.authenticator.account(request)
    cursor = paging.cursor(request.query_params)
    found = await here.outbox.database.read(
        lambda tx: uploads.page(
            tx,
            account,
            _PAGE,
            before=cursor.name if cursor is not None and cursor.side == "next" else None,
            after=cursor.name if cursor is not None and cursor.side == "previous" else None,
        )
    )
    results = [rendered(here, upload) for upload in found.items]
    places = [(0, upload.id) for upload in found.items]
    return paging.page(here, request, "/files", paging.Part(results, places, found.newer, found.older))


async def delete(here: Service, request: Request) -> Response:
    """DELETE /files/{id}: the row goes first, so that no row is ever without its bytes."""
    account = await here.authenticator.account(request)
    id_ = _id(request)
    if not await here.outbox.database.write(lambda tx: uploads.remove(tx, account, id_)):
        raise _not_found()
    await _removed(here, id_)
    return Response(status_code=204, media_type="text/plain")


async def download(here: Service, request: Request) -> Response:
    """GET /files/{id}/download: the bytes, for whoever has the signed URL; ranges are honoured."""
    id_, query = _id(request), request.query_params
    owner, expiry, signature = (query.get(name, "") for name in ("owner", "expiry", "signature"))
    if not may_download(here.uploads.key, owner, id_, expiry, signature, here.clock()):
        raise _not_found()
    upload = await _found(here, owner, id_)

    async def read(start: int, end: int) -> AsyncIterator[bytes]:
        try:
            return await here.uploads.blobs.read(id_, start, end)
        except MissingBlobError:  # it has just been removed
            raise _not_found() from None

    return await ranged(
        request,
        read,
        size=upload.size,
        etag=upload.md5,
        content_type=upload.content_type,
        name=upload.name,
    )


def _json(text: bytes, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")
