"""Paths and methods: what there is, under which base paths, and what there is not."""

import random

import pytest
from starlette.routing import compile_path

from api.asking import NOT_FOUND, UNKNOWN_ID, ask, raw
from ringback.api.app import ROUTES
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = sorted({path for _, path, _ in ROUTES})


def filled(path: str) -> str:
    for name, value in {"id": UNKNOWN_ID, "owner": "test", "name": "echo"}.items():
        path = path.replace(f"{{{name}}}", value)
    return path


@pytest.mark.parametrize("base", ["", "/v1", "/v1/v1"])
async def test_every_base_path_leads_to_the_same_place(server: Server, base: str) -> None:
    answer = await ask(
        server, "POST", f"{base}/predictions", {"version": "test/echo", "input": {"text": "a"}}
    )
    assert answer.status == 201
    shown = await ask(server, "GET", f"{base}/predictions/{answer.json['id']}")
    assert shown.json["urls"] == answer.json["urls"]
    assert (await ask(server, "GET", f"{base}/webhooks/default/secret")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/v1/v1",
        "/v2",
        "/v2/predictions",
        "/v1/predictions/",
        "/v1//predictions",
        f"/v1/predictions/{UNKNOWN_ID}/",
        f"/v1/predictions/{UNKNOWN_ID}/stop",
        "/v1/webhooks/default",
        "/v1/%70redictions%00",
        "/%ff%fe",
        "/v1/../v1/nothing",
        "/v1/v1/v1/predictions",
        "/v1" * 10_000 + "/predictions",
        "/" + "a" * 10_000,
    ],
)
async def test_what_does_not_exist_is_not_found(server: Server, path: str) -> None:
    answer = await ask(server, "GET", path)
    assert (answer.status, answer.problem) == (404, NOT_FOUND)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/v1", "/v1/v1/"])
async def test_the_bare_address_leads_to_the_documentation(server: Server, path: str) -> None:
    answer = await ask(server, "GET", path, token=None)
    assert answer.status == 200
    assert answer.json == {
        "server": "ringback",
        "docs": f"{server.url}/docs",
        "health": f"{server.url}/health",
    }
    assert (await ask(server, "GET", answer.json["docs"].removeprefix(server.url), token=None)).status == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY", "TRACE"]
)
async def test_a_method_that_is_not_there_is_405_and_says_which_are(
    server: Server, path: str, method: str
) -> None:
    there = {allowed for allowed, other, _ in ROUTES if compile_path(other)[0].match(path)}
    there |= {"HEAD"} if "GET" in there else set()
    answer = await ask(server, method, f"/v1{filled(path)}")
    if method in there:
        assert answer.status in (200, 400, 404, 409)
        return
    assert answer.status == 405
    assert set(answer.headers["allow"].replace(" ", "").split(",")) == there
    if method != "HEAD":
        assert answer.problem == {"detail": "This method is not allowed here.", "status": 405}


async def test_head_gives_the_headers_and_no_body(server: Server) -> None:
    for path in ("/health", "/v1/predictions", "/v1/webhooks/default/secret"):
        answer = await ask(server, "HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
        assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "id_",
    [
        UNKNOWN_ID,
        UNKNOWN_ID.upper(),
        UNKNOWN_ID[:-1],
        UNKNOWN_ID + "0",
        "i" * 26,
        "%00" * 26,
        "%F0%9F%98%80",
        "..",
        "' OR 1=1 --".replace(" ", "%20"),
        "a" * 5000,
    ],
)
async def test_an_id_that_is_unknown_or_no_id_is_not_found(server: Server, id_: str) -> None:
    for method, path in (("GET", ""), ("POST", "/cancel")):
        answer = await ask(server, method, f"/v1/predictions/{id_}{path}")
        if id_ != "..":  # that is another path
            assert (answer.status, answer.problem) == (404, NOT_FOUND)
        assert answer.status in (404, 405)


async def test_a_file_that_does_not_exist_is_not_found(server: Server) -> None:
    for id_ in ("x", "0" * 32, "%2e%2e%2fringback.sqlite", "..%2f..%2fetc%2fpasswd", "%00", "a" * 5000):
        for path in (f"/f/{id_}", f"/f/{id_}/x.png"):
            answer = await ask(server, "GET", path, token=None)
            assert answer.status == 404
            assert answer.problem["status"] == 404


# Garbage


def requests(chance: random.Random) -> list[tuple[str, str]]:
    return [(method, filled(path)) for method, path, _ in ROUTES for _ in range(1 + chance.randrange(2))]


@pytest.mark.parametrize("seed", range(3))
async def test_twenty_thousand_random_bytes_as_a_body_are_never_a_500(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    for method, path in requests(chance):
        answer = await ask(server, method, path, chance.randbytes(20_000))
        assert answer.status < 500, (method, path)
        assert answer.status != 201


@pytest.mark.parametrize("seed", range(3))
async def test_random_bytes_in_paths_queries_and_headers_are_never_a_500(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    for method, path in requests(chance):
        junk = "".join(f"%{byte:02x}" for byte in chance.randbytes(200))
        for target in (
            f"{path}?{junk}",
            f"{path}?cursor={junk}",
            f"{path}/{junk}",
            f"{path[:-3] or '/'}{junk}",
        ):
            answer = await ask(server, method, target, b"{}")
            assert answer.status < 500, (method, target)


@pytest.mark.parametrize("seed", range(3))
async def test_random_bytes_instead_of_http_are_never_a_500(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    head = f"authorization: Bearer {TOKEN}\r\n".encode()
    for method, path in requests(chance):
        line = f"{method} {path} HTTP/1.1\r\nhost: x\r\n".encode()
        for request in (
            chance.randbytes(20_000),
            line + head + chance.randbytes(20_000),
            line + head + b"x: " + chance.randbytes(1000).replace(b"\n", b"") + b"\r\n\r\n",
            line + head + b"transfer-encoding: chunked\r\n\r\n" + chance.randbytes(20_000),
            f"{method} ".encode() + chance.randbytes(100) + b" HTTP/1.1\r\nhost: x\r\n\r\n",
            line + head + b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x\r\n\r\n",
        ):
            answer = await raw(server, request)
            assert not answer.startswith(b"HTTP/1.1 5"), (request[:200], answer)
    assert (await ask(server, "GET", "/health")).status == 200


async def test_the_page_of_a_prediction_shows_how_it_stands_and_none_of_its_data(server: Server) -> None:
    created = await server.create("test/echo", {"text": "<b>hidden</b>"})
    await server.ended(created["id"])
    async with server.session.get(created["urls"]["web"]) as answer:
        page = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<h1>succeeded</h1>" in page
    assert created["id"] in page
    assert "hidden" not in page
    async with server.session.get(f"{server.url}/p/{'0' * 26}") as answer:
        assert answer.status == 404
