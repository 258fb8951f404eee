"""/files: what the clients send, byte for byte; lists, downloads, other accounts, bad forms."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from api.asking import ask
from api.files_sent import BOUNDARY, STRANGER, Folder, form, part, send, sent
from support.server import TOKEN, Server, serving

LIMIT = 8_000_000
TOO_LARGE = {"detail": "Files must be less than 8MB in size", "status": 413}
NOT_FOUND = {"detail": "File not found", "status": 404}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("files") / "data")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Folder) -> AsyncIterator[Server]:
    config = folder.path.parent / "ringback.toml"
    config.write_text(f"[files]\nlimit = {LIMIT}\n")
    async with serving("--config", str(config), data=folder.path) as server:
        folder.add_stranger()
        yield server
        assert "Traceback" not in server.log()
        assert server.process.poll() is None


JS = b"".join(
    [
        b'------formdata-undici-012675938424\r\nContent-Disposition: form-data; name="content"; ',
        b'filename="h\xc3\xa9 %22q%22.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n',
        b'------formdata-undici-012675938424\r\nContent-Disposition: form-data; name="metadata"; ',
        b'filename="blob"\r\nContent-Type: application/json\r\n\r\n{"customer":1}\r\n',
        b"------formdata-undici-012675938424--\r\n",
    ]
)
PY1 = b"".join(
    [
        b'--3b5965721f419081fd726e34674174bc\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n',
        b'{"customer": 1}\r\n--3b5965721f419081fd726e34674174bc\r\nContent-Disposition: form-data; ',
        b'name="content"; filename="h\xc3\xa9 %22q%22.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n',
        b"--3b5965721f419081fd726e34674174bc--\r\n",
    ]
)
PY2 = b"".join(
    [
        b'--1a9f44d913bcaca50c7f230d99c2199d\r\nContent-Disposition: form-data; name="filename"\r\n\r\n',
        b'h\xc3\xa9 "q".txt\r\n--1a9f44d913bcaca50c7f230d99c2199d\r\nContent-Disposition: form-data; ',
        b'name="metadata[customer]"\r\n\r\n1\r\n--1a9f44d913bcaca50c7f230d99c2199d\r\n',
        b'Content-Disposition: form-data; name="metadata[deep][a]"\r\n\r\ntrue\r\n',
        b"--1a9f44d913bcaca50c7f230d99c2199d\r\nContent-Disposition: form-data; ",
        b'name="metadata[deep][l][]"\r\n\r\n1\r\n--1a9f44d913bcaca50c7f230d99c2199d\r\n',
        b'Content-Disposition: form-data; name="metadata[deep][l][]"\r\n\r\n2\r\n',
        b"--1a9f44d913bcaca50c7f230d99c2199d\r\n",
        b'Content-Disposition: form-data; name="type"\r\n\r\ntext/plain\r\n',
        b'--1a9f44d913bcaca50c7f230d99c2199d\r\nContent-Disposition: form-data; name="content"; ',
        b'filename="upload"\r\nContent-Type: application/octet-stream\r\n\r\nhello\r\n',
        b"--1a9f44d913bcaca50c7f230d99c2199d--\r\n",
    ]
)


@pytest.mark.parametrize(
    ("body", "boundary", "metadata"),
    [
        (JS, "----formdata-undici-012675938424", {"customer": 1}),
        (PY1, "3b5965721f419081fd726e34674174bc", {"customer": 1}),
        (
            PY2,
            "1a9f44d913bcaca50c7f230d99c2199d",
            {"customer": "1", "deep": {"a": "true", "l": ["1", "2"]}},
        ),
    ],
    ids=["js", "python-1", "python-2"],
)
async def test_a_file_is_taken_as_each_client_sends_it(
    server: Server, body: bytes, boundary: str, metadata: Any
) -> None:
    answer = await send(server, body, boundary=boundary)
    assert answer.status == 201, answer.body
    file = answer.json
    assert list(file) == [
        "id",
        "name",
        "content_type",
        "size",
        "etag",
        "checksums",
        "metadata",
        "created_at",
        "expires_at",
        "urls",
    ]
    md5 = hashlib.md5(b"hello").hexdigest()
    assert (file["name"], file["content_type"], file["size"]) == ('hé "q".txt', "text/plain", 5)
    assert (file["etag"], file["metadata"]) == (md5, metadata)
    assert file["checksums"] == {"sha256": hashlib.sha256(b"hello").hexdigest(), "md5": md5}
    assert file["urls"]["get"] == f"{server.url}/v1/files/{file['id']}"
    assert (await ask(server, "GET", f"/files/{file['id']}")).json == file
    assert await fetched(server, file["urls"]["download"]) == b"hello"


async def fetched(server: Server, url: str) -> bytes:
    async with server.session.get(URL(url, encoded=True)) as answer:
        assert answer.status == 200
        return await answer.read()


async def test_a_form_may_come_in_small_chunks_and_without_a_length(server: Server) -> None:
    content = bytes(range(256)) * 2000 + f"\r\n--{BOUNDARY}x\r\n--".encode()
    whole = form(part("content", content, "b.bin"), part("metadata", b'{"a": [1]}'))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), 4999):
            yield whole[start : start + 4999]

    answer = await send(server, pieces())
    assert answer.status == 201
    assert answer.json["metadata"] == {"a": [1]}
    assert answer.json["content_type"] == "application/octet-stream"
    assert await fetched(server, answer.json["urls"]["download"]) == content


async def test_files_are_listed_newest_first_in_pages_both_ways(server: Server, folder: Folder) -> None:
    await asyncio.gather(*(sent(server) for _ in range(101)))
    newest = await sent(server)
    wanted = folder.rows()[::-1]
    assert wanted[0] == newest["id"]
    first = (await ask(server, "GET", "/v1/files")).json
    assert [file["id"] for file in first["results"]] == wanted[:100]
    assert first["previous"] is None
    second = (await ask(server, "GET", first["next"].removeprefix(server.url))).json
    assert [file["id"] for file in second["results"]] == wanted[100:]
    assert second["next"] is None
    again = (await ask(server, "GET", second["previous"].removeprefix(server.url))).json
    assert again["results"] == first["results"]
    assert (await ask(server, "GET", "/v1/files?cursor=nonsense")).status == 422


async def test_a_deleted_file_is_gone_with_its_bytes(server: Server, folder: Folder) -> None:
    file = await sent(server)
    assert file["id"] in folder.blobs()
    answer = await ask(server, "DELETE", f"/v1/files/{file['id']}")
    assert (answer.status, answer.body) == (204, b"")
    assert file["id"] not in folder.rows() + folder.blobs()
    for method in ("GET", "DELETE"):
        assert (await ask(server, method, f"/v1/files/{file['id']}")).problem == NOT_FOUND
    assert (await ask(server, "GET", file["urls"]["download"].removeprefix(server.url))).status == 404


async def test_an_expired_file_is_gone_before_anybody_has_swept(server: Server, folder: Folder) -> None:
    file = await sent(server)
    folder.set_expiry(file["id"], 1)
    assert (await ask(server, "GET", f"/v1/files/{file['id']}")).problem == NOT_FOUND
    listed = (await ask(server, "GET", "/v1/files")).json["results"]
    assert file["id"] not in [each["id"] for each in listed]
    async with server.session.get(URL(file["urls"]["download"], encoded=True)) as answer:
        assert answer.status == 404


async def test_another_account_sees_nothing_of_a_file(server: Server, folder: Folder) -> None:
    file = await sent(server)
    for method in ("GET", "DELETE"):
        answer = await ask(server, method, f"/v1/files/{file['id']}", token=STRANGER)
        assert answer.problem == NOT_FOUND
    assert (await ask(server, "GET", "/v1/files", token=STRANGER)).json["results"] == []
    assert file["id"] in folder.blobs()
    for method, path in (("POST", "/v1/files"), ("GET", "/v1/files"), ("GET", f"/v1/files/{file['id']}")):
        assert (await ask(server, method, path, token=None)).status == 401


@pytest.mark.parametrize(
    "id_", ["nothing", "..", "%2e%2e%2fringback.sqlite", "z" * 26, "%C3%A9" * 26, "a" * 5000]
)
async def test_what_is_no_id_is_not_found(server: Server, id_: str) -> None:
    for path in (f"/v1/files/{id_}", f"/v1/files/{id_}/download?owner=a&expiry=9&signature=a"):
        assert (await ask(server, "GET", path)).status == 404


async def test_a_download_needs_the_very_url_that_was_given_out(server: Server) -> None:
    file, other = await sent(server), await sent(server, b"other")
    url = URL(file["urls"]["download"], encoded=True)
    assert await fetched(server, str(url)) == b"hello"
    wrong = [
        url.with_query(None),
        url.with_path(URL(other["urls"]["download"]).path).with_query(url.query),
        *(url.update_query({name: "x" + url.query[name]}) for name in url.query),
        url.update_query(expiry=str(int(url.query["expiry"]) + 1)),
        url.update_query(signature=url.query["signature"].swapcase()),
        url.update_query(signature="é"),
    ]
    for each in wrong:
        async with server.session.get(each) as answer:
            assert answer.status == 404, each
            assert await answer.json(content_type=None) == NOT_FOUND


async def test_a_part_of_a_file_can_be_had(server: Server) -> None:
    file = await sent(server, b"0123456789", "clip.mp4", "video/mp4")
    url = URL(file["urls"]["download"], encoded=True)

    async def asked(wanted: str, method: str = "GET", **more: str) -> tuple[int, Any, bytes]:
        async with server.session.request(method, url, headers={"range": wanted, **more}) as answer:
            return answer.status, answer.headers, await answer.read()

    status, headers, body = await asked("bytes=2-4")
    assert (status, headers["content-range"], body) == (206, "bytes 2-4/10", b"234")
    assert headers["content-type"] == "video/mp4"
    assert (await asked("bytes=-3"))[2] == b"789"
    assert (await asked("bytes=7-99"))[2] == b"789"
    assert (await asked("bytes=0-"))[0] == 200
    status, headers, body = await asked("bytes=10-")
    assert (status, headers["content-range"]) == (416, "bytes */10")
    assert (await asked("bytes=2-4", **{"if-range": '"another"'}))[2] == b"0123456789"
    assert (await asked("bytes=2-4", **{"if-range": headers.get("etag", f'"{file["etag"]}"')}))[2] == b"234"
    status, headers, body = await asked("bytes=2-4", "HEAD")
    assert (status, headers["content-length"], body) == (206, "3", b"")


async def test_a_page_that_was_sent_does_not_run_as_one_of_ours(server: Server) -> None:
    file = await sent(server, b"<script>alert(1)</script>", 'x".html', "text/html")
    async with server.session.get(URL(file["urls"]["download"], encoded=True)) as answer:
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_may_be_as_large_as_the_limit_and_no_larger(server: Server, folder: Folder) -> None:
    before = folder.blobs()
    file = await sent(server, bytes(LIMIT))
    assert file["size"] == LIMIT
    body = form(part("content", bytes(LIMIT + 1), "a"))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    assert (await send(server, body)).problem == TOO_LARGE
    assert (await send(server, pieces())).problem == TOO_LARGE
    assert (await send(server, form(part("content", bytes(2 * LIMIT), "a")))).problem == TOO_LARGE
    await folder.until(server, lambda names: names == sorted([*before, file["id"]]))


async def test_what_a_client_leaves_in_the_middle_is_removed(server: Server, folder: Folder) -> None:
    before = folder.blobs()
    url = URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = (
        "POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    writer.write(head.encode() + part("content", bytes(7_000_000), "a"))
    await folder.until(server, lambda names: any("#" in name for name in names))
    writer.close()
    await writer.wait_closed()
    await folder.until(server, lambda names: names == before)
    assert await reader.read() == b""


CONTENT = part("content", b"x", "a.txt")
FAULTY: list[tuple[str, bytes, int, str]] = [
    ("no content", form(part("filename", b"a.txt")), 422, "content is required"),
    ("nothing", form(), 422, "content is required"),
    ("two contents", form(CONTENT, CONTENT), 422, "There may be only one part content"),
    ("two names", form(CONTENT, part("filename", b"a"), part("filename", b"b")), 422, "only one filename"),
    ("an unknown field", form(CONTENT, part("file", b"a")), 422, "Additional property file is not allowed"),
    ("a name with NUL", form(CONTENT, part("filename", b"a\0b")), 422, "without control characters"),
    ("a name of lines", form(CONTENT, part("filename", b"a\r\nb")), 422, "without control characters"),
    ("a long name", form(CONTENT, part("filename", "é".encode() * 128)), 422, "at most 255 bytes"),
    ("a name not UTF-8", form(CONTENT, part("filename", b"\xff")), 422, "valid UTF-8"),
    ("a header not UTF-8", form(part("content", b"x", "?").replace(b"?", b"\xff")), 422, "valid UTF-8"),
    ("a type that is none", form(CONTENT, part("type", b"text")), 422, "Must be a media type"),
    ("a type with a header", form(CONTENT, part("type", b"a/b\r\nx: y")), 422, "Must be a media type"),
    ("metadata of text", form(CONTENT, part("metadata", b"{")), 422, "Must be JSON"),
    ("metadata of a list", form(CONTENT, part("metadata", b"[]")), 422, "Expected: object"),
    ("metadata twice", form(CONTENT, part("metadata[a]", b""), part("metadata[a]", b"")), 422, "twice"),
    ("metadata mixed", form(CONTENT, part("metadata[a]", b""), part("metadata[a][b]", b"")), 422, "twice"),
    ("deep metadata", form(CONTENT, part("metadata" + "[a]" * 900, b"")), 422, "is not allowed"),
    ("huge metadata", form(CONTENT, part("metadata", b" " * 70_000)), 413, "65,536 bytes"),
    ("many fields", form(*[part("metadata[a]", b"")] * 101), 422, "at most 100 parts"),
    ("a huge header", form(CONTENT, part("x" * 20_000, b"")), 400, "not a form"),
    ("a part without a name", form(CONTENT.replace(b'name="content"; ', b"")), 400, "without a name"),
    ("no last boundary", CONTENT, 400, "last boundary is missing"),
    ("another boundary", form(CONTENT).replace(b"a-boundary", b"b-boundary"), 400, "not a form"),
    ("an empty body", b"", 400, "last boundary is missing"),
    ("no form at all", b"hello", 400, "not a form"),
    ("noise", bytes(range(256)) * 50, 400, ""),
]


@pytest.mark.parametrize(
    ("body", "status", "told"), [row[1:] for row in FAULTY], ids=[row[0] for row in FAULTY]
)
async def test_a_form_that_is_wrong_is_refused_and_leaves_nothing(
    server: Server, folder: Folder, body: bytes, status: int, told: str
) -> None:
    before = folder.blobs(), folder.rows()
    answer = await send(server, body)
    assert answer.problem["status"] == status, answer.body
    assert told in answer.problem["detail"]
    assert (folder.blobs(), folder.rows()) == before


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=" + "a" * 500,
        "multipart/mixed",
    ],
)
async def test_what_is_not_sent_as_a_form_is_refused(server: Server, kind: str) -> None:
    answer = await ask(server, "POST", "/v1/files", b"{}", headers={"content-type": kind})
    assert answer.problem["status"] == 400


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\a.txt", "a.txt"),
        ("..", "file"),
        ("", "file"),
        ("é" * 127 + "a", "é" * 127 + "a"),
        ("a;b=c.txt", "a;b=c.txt"),
    ],
)
async def test_a_name_is_a_name_and_no_path(server: Server, given: str, name: str) -> None:
    answer = await send(server, form(CONTENT, part("filename", given.encode())))
    assert answer.json["name"] == name
    async with server.session.get(URL(answer.json["urls"]["download"], encoded=True)) as got:
        assert got.status == 200
        assert got.content_disposition is not None
        assert got.content_disposition.filename == name


async def test_a_file_may_be_empty_and_a_content_without_a_name(server: Server) -> None:
    answer = await send(server, form(part("content", b"")))
    assert (answer.status, answer.json["size"], answer.json["name"]) == (201, 0, "file")
    assert answer.json["etag"] == hashlib.md5(b"").hexdigest()
    assert await fetched(server, answer.json["urls"]["download"]) == b""


async def test_a_file_that_was_accepted_is_there_after_a_kill_and_lost_bytes_are_not(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    async with serving(data=folder.path) as server:
        file = await sent(server, b"x" * 100_000)
        server.kill()
        await server.stopped()
    # A server that was killed between the bytes and the row, and one in the middle of the bytes.
    (folder.path / "uploads" / "qq").mkdir()
    (folder.path / "uploads" / "qq" / "01m81n3e3mdfby0tpzaspst7qq").write_bytes(b"no row")
    (folder.path / "uploads" / "qq" / "01m81n3e3mdfby0tpzaspst8qq#1").write_bytes(b"half")
    async with serving(data=folder.path) as server:
        assert folder.blobs() == [file["id"]]
        found = (await ask(server, "GET", f"/v1/files/{file['id']}")).json
        assert {**found, "urls": None} == {**file, "urls": None}
        assert URL(found["urls"]["download"]).query == URL(file["urls"]["download"]).query
        assert await fetched(server, found["urls"]["download"]) == b"x" * 100_000


async def test_the_default_limit_is_told_in_replicates_words(tmp_path: Path) -> None:
    async with serving(data=tmp_path / "data") as server:
        headers = {"content-length": "100200001", "expect": "100-continue"}
        answer = await ask_unsent(server, headers)
    assert answer == {"detail": "Files must be less than 100MB in size", "status": 413}


async def ask_unsent(server: Server, headers: dict[str, str]) -> Any:
    """Announce a body and send nothing of it; give the answer's body."""
    url = URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    given = {"authorization": f"Bearer {TOKEN}", "content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    lines = [f"{name}: {value}" for name, value in {"host": "x", **given, **headers}.items()]
    writer.write("\r\n".join(["POST /v1/files HTTP/1.1", *lines, "", ""]).encode())
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"}")
    writer.close()
    assert b" 413 " in head
    return json.loads(body)
