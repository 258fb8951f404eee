"""Who may ask."""

import pytest

from api.asking import UNKNOWN_ID, ask, raw
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUARDED = [
    ("POST", "/v1/predictions"),
    ("GET", "/v1/predictions"),
    ("GET", f"/v1/predictions/{UNKNOWN_ID}"),
    ("POST", f"/v1/predictions/{UNKNOWN_ID}/cancel"),
    ("POST", "/v1/models/test/echo/predictions"),
    ("POST", "/v1/models/no/such/predictions"),
    ("GET", "/v1/webhooks/default/secret"),
    ("POST", "/v1/webhooks/default/secret"),
    ("POST", "/v1/webhooks/default/secret/rotate"),
]
REFUSAL = {
    "title": "Unauthenticated",
    "detail": "You did not pass a valid authentication token",
    "status": 401,
}


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"],
)
async def test_without_a_valid_token_everything_but_health_and_files_is_refused(
    server: Server, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = await ask(server, method, path, token=None, headers=headers)
    assert (answer.status, answer.problem) == (401, REFUSAL)
    assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize(
    "scheme", ["Bearer", "bearer", "BEARER", "Token", "token", "TOKEN", "tOkEn", "Bearer "]
)
async def test_both_schemes_are_accepted_in_any_case(server: Server, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {TOKEN}"}
    assert (await ask(server, "GET", "/v1/predictions", token=None, headers=headers)).status == 200


@pytest.mark.parametrize("token", [b"\xff\xfe\xfd", b"\xc3\xa9", b"x" * 20_000, b"' OR 1=1 --"])
async def test_a_strange_token_is_a_wrong_token(server: Server, token: bytes) -> None:
    request = b"GET /v1/predictions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n\r\n" % token
    assert (await raw(server, request)).split(b" ", 2)[1] == b"401"


async def test_a_wrong_token_again_and_again_is_refused_each_time(server: Server) -> None:
    for _ in range(3):
        assert (await ask(server, "GET", "/v1/predictions", token="wrong")).status == 401
    assert (await ask(server, "GET", "/v1/predictions")).status == 200


async def test_health_needs_no_token(server: Server) -> None:
    for path in ("/health", "/v1/health"):
        answer = await ask(server, "GET", path, token=None)
        assert (answer.status, answer.json["status"]) == (200, "ok")
