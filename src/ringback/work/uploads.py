"""The files that people have sent: opened for a predictor, and removed when their time is over."""

import asyncio
import logging
import tempfile
from dataclasses import dataclass
from typing import IO

from ringback.blobs.store import Blobs, MissingBlobError
from ringback.store import uploads
from ringback.store.database import Database
from ringback.words.errors import Unavailable

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_ROWS = 100


@dataclass(frozen=True, slots=True)
class Sent:
    """Where they are: their rows and their bytes."""

    database: Database
    blobs: Blobs

    async def fetch(self, account: str, id_: str) -> tuple[str, IO[bytes]] | None:
        """Give the name of a file of this account and its bytes, open at their start; None if there is none.

        Raises:
            Unavailable: it can't be read now.
            OSError: there is no room for a copy of it.
        """
        upload = await self.database.read(lambda tx: uploads.get(tx, account, id_))
        if upload is None:
            return None
        try:
            pieces = await self.blobs.read(id_)
        except MissingBlobError:  # it has just been removed
            return None
        file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked for it closes it
        try:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return upload.name, file

    async def sweep(self) -> int:
        """Remove bytes that no row names (a crash in between left them); give how many.

        Only before anybody can send a file: its row comes after its bytes.
        """
        known = await self.database.read(uploads.known)
        lost = await self.blobs.keys() - known
        await self.blobs.remove(lost)
        return len(lost)

    async def expire(self) -> int:
        """Remove what has expired, in small steps; give how many files.

        The row goes first: what has a row can be read. Bytes that can't be removed now go at the next start.
        """
        count = 0
        while ids := await self.database.write(lambda tx: uploads.expire(tx, _ROWS)):
            count += len(ids)
            await self.blobs.remove(ids)
        return count

    async def keep_tidy(self) -> None:
        """Do so every minute, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                count = await self.expire()
            except Unavailable:
                continue  # the store's own line says why; the next round is soon
            except Exception:
                log.exception("expired files could not be removed; trying again in %.0f s", _EVERY_S)
                continue
            if count:
                log.info("%d files have expired", count)
