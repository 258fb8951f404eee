"""Files that people have sent, between their rows and their bytes: no row is ever without its bytes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ringback.blobs.local import local
from ringback.rules.retry import SECOND
from ringback.store import uploads
from ringback.store.uploads import Upload
from ringback.words.errors import Unavailable
from ringback.work.uploads import Sent
from store.world import ACCOUNT, World, opened

DAY = 24 * 3600


@dataclass
class House:
    """A store, the bytes beside it, and how files come into both."""

    world: World
    sent: Sent
    folder: Path

    async def add(
        self, content: bytes = b"x", keep_s: float | None = DAY, prediction: str | None = None
    ) -> str:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        now = self.world.now
        id_ = self.world.ids.make(now)
        sums = await self.sent.blobs.put(id_, pieces(), 1 << 30)
        expires = None if keep_s is None else now + int(keep_s * SECOND)
        kind = "text/plain"
        upload = Upload(
            id_, ACCOUNT, prediction, "a.txt", kind, sums.size, sums.md5, sums.sha256, "{}", now, expires
        )
        await self.world.database.write(lambda tx: uploads.add(tx, upload))
        return id_

    async def keep(self, account: str, ids: list[str], seconds: float) -> list[str]:
        until = self.world.now + int(seconds * SECOND)
        return await self.world.database.write(lambda tx: uploads.keep(tx, account, ids, until))

    async def rows(self) -> set[str]:
        return await self.world.database.read(uploads.known)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    folder = tmp_path / "uploads"
    async with opened(tmp_path) as world:
        yield House(world, Sent(world.database, local(folder)), folder)


async def test_a_file_goes_when_its_time_is_over_and_not_before(house: House) -> None:
    early, late, kept = await house.add(keep_s=60), await house.add(keep_s=120), await house.add(keep_s=None)
    house.world.wait(59.9)
    assert await house.sent.expire() == 0
    house.world.wait(0.1)
    assert await house.sent.expire() == 1
    assert await house.rows() == await house.sent.blobs.keys() == {late, kept}
    assert await house.sent.fetch(ACCOUNT, early) is None
    house.world.wait(10_000)
    assert await house.sent.expire() == 1
    assert await house.rows() == await house.sent.blobs.keys() == {kept}


async def test_many_files_go_in_steps(house: House) -> None:
    for _ in range(201):
        await house.add(keep_s=1)
    house.world.wait(2)
    assert await house.sent.expire() == 201
    assert await house.rows() == await house.sent.blobs.keys() == set()


async def test_a_row_goes_before_its_bytes(house: House) -> None:
    id_ = await house.add(keep_s=1)
    house.world.wait(2)
    # What can't be removed: a folder that is not empty, in the place of the file.
    path = house.folder / id_[-2:] / id_
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    with pytest.raises(Unavailable):
        await house.sent.expire()
    assert await house.rows() == set()


async def test_bytes_without_a_row_are_swept_and_others_are_not(house: House) -> None:
    whole, lost = await house.add(b"whole"), await house.add(b"lost")
    await house.world.database.write(lambda tx: uploads.remove(tx, ACCOUNT, lost))
    assert await house.sent.sweep() == 1
    assert await house.sent.blobs.keys() == {whole}
    assert await house.sent.sweep() == 0


async def test_a_file_is_given_to_its_own_account_only(house: House) -> None:
    id_ = await house.add(b"mine")
    found = await house.sent.fetch(ACCOUNT, id_)
    assert found is not None
    name, file = found
    with file:
        assert (name, file.read()) == ("a.txt", b"mine")
    assert await house.sent.fetch("acct_2", id_) is None
    assert await house.keep("acct_2", [id_], 7 * DAY) == [id_]


async def test_what_a_prediction_needs_is_kept_longer_and_never_shorter(house: House) -> None:
    short, long = await house.add(keep_s=60), await house.add(keep_s=30 * DAY)
    assert await house.keep(ACCOUNT, [short, long, "nothing"], 7 * DAY) == ["nothing"]
    house.world.wait(7 * DAY - 1)
    assert await house.sent.expire() == 0
    house.world.wait(1)
    assert await house.sent.expire() == 1
    assert await house.rows() == {long}


async def test_what_has_expired_can_not_be_kept_any_more(house: House) -> None:
    id_ = await house.add(keep_s=60)
    house.world.wait(60)
    assert await house.keep(ACCOUNT, [id_], 7 * DAY) == [id_]


async def test_what_was_taken_out_of_an_input_stays_once_its_prediction_is_there(house: House) -> None:
    claimed = await house.add(keep_s=60, prediction="p")
    await house.add(keep_s=60, prediction="q")
    assert await house.keep(ACCOUNT, [claimed], 1) == []
    house.world.wait(365 * DAY)
    assert await house.sent.expire() == 1
    assert await house.rows() == {claimed}
    listed = await house.world.database.read(lambda tx: uploads.page(tx, ACCOUNT, 100))
    assert listed.items == []
