"""Inputs given by URL: our own files by their exact ids, others sent for as they stand, no secret told."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from ringback.blobs.local import local
from ringback.rules.address import AddressRules
from ringback.rules.snapshot import Links
from ringback.work.files import FileStore, Incoming, sync
from ringback.work.inputs import InputError, InputFiles, InputRules, close
from ringback.work.uploads import Sent
from store.world import opened

BASE = "http://127.0.0.1:1"
ID = "0123456789abcdefghjkmnpqrstvwxyz"
NAMES = frozenset({"x"})


@pytest_asyncio.fixture
async def files(tmp_path: Path) -> AsyncIterator[InputFiles]:
    folder = tmp_path / "files"
    rules = InputRules(AddressRules(allow_loopback=True, allowed=(ip_network("127.0.0.0/8"),)))
    async with opened(tmp_path) as world:
        sent = Sent(world.database, local(tmp_path / "uploads"))
        made = InputFiles(rules, FileStore(folder, os.urandom), Links(BASE), sent)
        (folder / ID[:2]).mkdir()
        (folder / ID[:2] / ID).write_bytes(b"mine")
        yield made
        await made.close()


@asynccontextmanager
async def site(answer: Callable[[web.Request], web.StreamResponse]) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def content(files: InputFiles, url: str) -> bytes:
    fetched = await files.fetch({"x": url}, NAMES, "acct_1")
    try:
        return fetched[0].file.read()
    finally:
        close(fetched)


async def refusal(files: InputFiles, url: str) -> str:
    with pytest.raises(InputError) as refused:
        await files.fetch({"x": url}, NAMES, "acct_1")
    return str(refused.value)


async def test_a_file_of_our_own_is_read_by_its_id(files: InputFiles) -> None:
    assert await content(files, f"{BASE}/f/{ID}/a.txt") == b"mine"


@pytest.mark.parametrize(
    "id_", ["a" * 5000, "a" * 300, "..", "", "a", ID.upper(), ID + "a", "é" * 32, "\u0663" * 32, ID[::-1]]
)
async def test_what_is_no_id_of_ours_is_no_file(files: InputFiles, id_: str) -> None:
    assert await refusal(files, f"{BASE}/f/{id_}/a.txt") == "input 'x': there is no such file here any more"


async def test_an_id_that_is_short_but_a_file_is_not_opened(files: InputFiles, tmp_path: Path) -> None:
    (tmp_path / "files" / "zz").mkdir()
    (tmp_path / "files" / "zz" / "zzz").write_bytes(b"no file of a prediction")
    assert "no such file" in await refusal(files, f"{BASE}/f/zzz/a.txt")


async def test_a_file_of_our_own_that_can_not_be_read_fails_the_input_only(
    files: InputFiles, tmp_path: Path
) -> None:
    (tmp_path / "files" / ID[:2] / ID).unlink()
    (tmp_path / "files" / ID[:2] / ID).mkdir()
    assert await refusal(files, f"{BASE}/f/{ID}") == "input 'x': the file can't be read here: Is a directory"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("/a b.txt?q=c d", "/a%20b.txt?q=c+d"),
        ("/é", "/%C3%A9"),
        ("/a%2Fb?sig=x%2By%3D", "/a%2Fb?sig=x%2By%3D"),
    ],
)
async def test_a_url_is_sent_as_it_stands_or_percent_encoded(
    files: InputFiles, given: str, sent: str
) -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.raw_path)
        return web.Response(body=b"there")

    async with site(answer) as url:
        assert await content(files, url + given) == b"there"
    assert seen == [sent]


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@[bad/?token=secret",
        "http://user:secret@host:bad/?token=secret",
        "http://user:se/cret@/?token=secret",
        "http://?token=secret",
        "http://us%3Aer:secret@127.0.0.1:1/",
        "http://user:secret\u20ac@127.0.0.1:1/",
    ],
)
async def test_a_url_that_can_not_be_used_is_not_repeated(files: InputFiles, url: str) -> None:
    told = await refusal(files, url)
    assert told == "input 'x': what is given, or where it redirects to, is no valid URL"


async def test_a_redirect_without_end_or_to_nowhere_tells_no_secret(files: InputFiles) -> None:
    for to in ("/again?token=secret", "http://user:secret@[bad/", "ftp://user:secret@127.0.0.1/"):

        def answer(_: web.Request, to: str = to) -> web.StreamResponse:
            return web.Response(status=302, headers={"location": to})

        async with site(answer) as url:
            told = await refusal(files, f"{url.replace('://', '://user:secret@')}/?token=secret")
        assert "secret" not in told, told


def test_a_file_is_on_the_disk_with_all_the_folders_that_lead_to_it(tmp_path: Path) -> None:
    incoming = Incoming(FileStore(tmp_path / "files", os.urandom))
    incoming.piece(0, "a.txt", b"one", last=True)
    incoming.piece(1, "b.txt", b"two", last=True)
    opened: list[Path] = []
    watching = True

    def watch(event: str, given: tuple[Any, ...]) -> None:  # can't be taken away again
        if watching and event == "open":
            opened.append(Path(given[0]))

    sys.addaudithook(watch)
    sync(incoming.complete)
    watching = False
    paths = [file.path for file in incoming.complete]
    assert set(opened) == {*paths, *(path.parent for path in paths), tmp_path / "files"}
    assert opened.count(tmp_path / "files") == 1
