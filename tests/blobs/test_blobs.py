"""Blobs on the local disk: whole or not there at all, durable, read in parts."""

import asyncio
import os
from collections.abc import AsyncIterator
from hashlib import md5, sha256
from pathlib import Path

import pytest

from ringback.blobs.local import local
from ringback.blobs.store import PIECE, Blobs, MissingBlobError, Sums
from ringback.words.errors import TooLarge, Unavailable

KEY = "01m81n3e3mdfby0tpzaspst7gr"
PLENTY = 1 << 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


def found(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def content(blobs: Blobs, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in await blobs.read(KEY, start, end)])


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 12 * PIECE + 7])
async def test_a_blob_comes_back_as_it_was_put_with_its_sums(folder: Path, size: int) -> None:
    data = os.urandom(size)
    blobs = local(folder)
    split = [data[start : start + 70_000] for start in range(0, size, 70_000)]
    sums = await blobs.put(KEY, pieces(*split), PLENTY)
    assert sums == Sums(size, md5(data).hexdigest(), sha256(data).hexdigest())
    assert await content(blobs) == data
    assert await blobs.keys() == {KEY}
    assert found(folder) == [KEY]


@pytest.mark.parametrize(("start", "end"), [(0, 3), (2, 5), (7, 100), (9, 10), (3, 3), (10, 10), (5, None)])
async def test_a_part_of_it_can_be_read(folder: Path, start: int, end: int | None) -> None:
    blobs = local(folder)
    await blobs.put(KEY, pieces(b"0123456789"), PLENTY)
    assert await content(blobs, start, end) == b"0123456789"[start:end]


async def test_what_is_over_the_limit_is_refused_and_leaves_nothing(folder: Path) -> None:
    blobs = local(folder)
    await blobs.put(KEY, pieces(bytes(8 * PIECE)), 8 * PIECE)
    await blobs.remove([KEY])
    with pytest.raises(TooLarge, match=r"^Files must be less than 8,388,608 bytes in size$"):
        await blobs.put(KEY, pieces(*[bytes(PIECE)] * 8, b"x"), 8 * PIECE)
    assert found(folder) == []


async def test_what_ends_in_the_middle_leaves_nothing(folder: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield bytes(PIECE)
        assert found(folder) == [f"{KEY}#1"]  # it is being written
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await local(folder).put(KEY, broken(), PLENTY)
    assert found(folder) == []


async def test_what_is_cancelled_in_the_middle_leaves_nothing(folder: Path) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield bytes(PIECE)
        reached.set()
        await asyncio.Event().wait()

    putting = asyncio.create_task(local(folder).put(KEY, endless(), PLENTY))
    await reached.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert found(folder) == []


async def test_what_a_crash_left_half_written_is_removed_at_the_next_start(folder: Path) -> None:
    await local(folder).put(KEY, pieces(b"whole"), PLENTY)
    (folder / KEY[-2:] / f"{KEY}#1").write_bytes(b"half")
    assert await content(local(folder)) == b"whole"
    assert found(folder) == [KEY]


async def test_a_blob_and_its_folders_are_on_the_disk_before_it_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    really = os.fsync

    def fsync(fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        synced.append(str(path.relative_to(folder)))
        really(fd)

    blobs = local(folder)
    monkeypatch.setattr(os, "fsync", fsync)
    await blobs.put(KEY, pieces(b"x"), PLENTY)
    assert synced == [f"{KEY[-2:]}/{KEY}", KEY[-2:], "."]


async def test_a_blob_that_can_not_be_brought_to_the_disk_is_not_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    blobs = local(folder)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Unavailable):
        await blobs.put(KEY, pieces(b"x"), PLENTY)
    assert found(folder) == []


async def test_a_blob_that_can_not_be_written_is_unavailable_and_its_place_is_not_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blobs = local(folder)
    (folder / KEY[-2:]).write_bytes(b"in the way")
    with pytest.raises(Unavailable) as refused:
        await blobs.put(KEY, pieces(b"x"), PLENTY)
    assert str(folder) not in str(refused.value)
    assert str(folder) in caplog.text


async def test_what_is_not_there_is_missing_and_can_be_removed(folder: Path) -> None:
    blobs = local(folder)
    with pytest.raises(MissingBlobError):
        await blobs.read(KEY)
    await blobs.remove([KEY])
    await blobs.put(KEY, pieces(b"x"), PLENTY)
    await blobs.remove(["no-such-key", KEY])
    assert await blobs.keys() == set()
