"""Files in the input of a prediction that is being created: large data URIs become files, files are kept.

A data URI of megabytes would be in every webhook and every answer; as a file it is a short URL there.
"""

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec import Struct

from ringback.api.service import Service
from ringback.rules import data_uri
from ringback.rules.file_url import file_id, is_below, metadata_url
from ringback.rules.retry import SECOND
from ringback.rules.schema import invalid_input
from ringback.store import uploads
from ringback.store.database import Tx
from ringback.store.uploads import Upload
from ringback.words.errors import InvalidField
from ringback.work.inputs import file_properties

_LARGE = 256_000
"""Characters (replicate.com/docs/topics/predictions/input-files)."""

_QUEUED_US = 7 * 24 * 3600 * SECOND
"""How long what a prediction needs is kept for it, at least."""

_UNCLAIMED_US = 3600 * SECOND
"""How long what was taken out of an input waits for its prediction to be created."""


class UsedFile(Struct, frozen=True):
    """A file that an input names.

    Attributes:
        field: where, for example input.image.
        id: the file's.
        is_ours: whether the URL is surely this server's; else it may be anybody's that looks the same.
    """

    field: str
    id: str
    is_ours: bool


async def prepared(
    here: Service, account: str, prediction_id: str, input_: dict[str, Any], properties: dict[str, Any]
) -> tuple[dict[str, Any], tuple[UsedFile, ...]]:
    """Give the input as it is to be kept, and the files it names, for `keep`.

    Args:
        here: what handlers work with.
        account: whose it is.
        prediction_id: the prediction that is going to be made.
        input_: its checked input, which is not changed.
        properties: the schemas of all inputs.

    Raises:
        TooLarge: a data URI is over the limit of files.
        Unavailable: one can't be stored now.
    """
    if not any(map(_may_be_file, input_.values())):
        return input_, ()  # as most are: the schemas need not be looked at
    names = file_properties(properties)
    shorter = await moved(here, account, prediction_id, input_, names)
    return shorter, used(here, shorter, names)


def _may_be_file(value: Any) -> bool:
    return isinstance(value, list) or data_uri.is_data_uri(value) or file_id(value) is not None


async def moved(
    here: Service, account: str, prediction_id: str, input_: dict[str, Any], names: frozenset[str]
) -> dict[str, Any]:
    """Give the input with large data URIs made into files; it stays as it is if there are none.

    A malformed one is left to the predictor's process, which says what is wrong with it. The files go away by
    themselves unless `keep` is called for the prediction.

    Args:
        here: what handlers work with.
        account: whose it is.
        prediction_id: the prediction that is going to be made.
        input_: its input, which is not changed.
        names: the inputs that are files, or lists of files.

    Raises:
        TooLarge: one is over the limit of files.
        Unavailable: it can't be stored now.
    """
    made: list[Upload] = []

    async def short(value: Any) -> Any:
        if not data_uri.is_data_uri(value) or len(value) <= _LARGE:
            return value
        upload = await _stored(here, account, prediction_id, value)
        if upload is None:
            return value
        made.append(upload)
        return metadata_url(here.links.base, upload.id)

    shorter = dict(input_)
    for name in sorted(names & input_.keys()):
        value = input_[name]
        shorter[name] = (
            [await short(item) for item in value] if isinstance(value, list) else await short(value)
        )
    if not made:
        return input_

    async def add(tx: Tx) -> None:
        for upload in made:
            await uploads.add(tx, upload)

    await here.outbox.database.write(add)
    return shorter


async def _stored(here: Service, account: str, prediction_id: str, uri: str) -> Upload | None:
    try:
        data = await asyncio.to_thread(data_uri.parse, uri)
    except ValueError:
        return None

    async def content() -> AsyncIterator[bytes]:
        yield data.content

    now = here.clock()
    id_ = here.ids.make(now)
    sums = await here.uploads.blobs.put(id_, content(), here.uploads.limit)
    # Named after its media type, as Cog does.
    name = "file" + (mimetypes.guess_extension(data.content_type) or "")
    return Upload(
        id_,
        account,
        prediction_id,
        name,
        data.content_type,
        sums.size,
        sums.md5,
        sums.sha256,
        "{}",
        now,
        now + _UNCLAIMED_US,
    )


def used(here: Service, input_: dict[str, Any], names: frozenset[str]) -> tuple[UsedFile, ...]:
    """Give the files people have sent that an input names; `names` are the inputs that are files."""
    found: list[UsedFile] = []
    bases = {here.links.base, here.outbox.links.base}
    for name in sorted(names & input_.keys()):
        value = input_[name]
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for place, item in items:
            id_ = file_id(item)
            if id_ is not None:
                field = f"input.{name}" if place is None else f"input.{name}.{place}"
                found.append(UsedFile(field, id_, any(is_below(item, base) for base in bases)))
    return tuple(found)


async def keep(tx: Tx, account: str, files: Sequence[UsedFile]) -> None:
    """See to it that the files of a prediction stay until it has run; in the transaction that creates it.

    Raises:
        Invalid: this account has no such file; names the field.
    """
    gone = set(await uploads.keep(tx, account, {file.id for file in files}, tx.now + _QUEUED_US))
    faults = [
        InvalidField("format", file.field, "There is no such file; it may have expired: send it again")
        for file in files
        if file.is_ours and file.id in gone
    ]
    if faults:
        raise invalid_input(tuple(faults[:20]))
