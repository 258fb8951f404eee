"""v1a over the API: the public keys for everybody, rotation, and the list that tells no value."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.asking import ask
from ringback.words.ed25519 import thumbprint, verify
from ringback.words.signature import VerificationError
from support.moved_clock import MovedClock
from support.receiver import Received, Receiver
from support.server import Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

JWKS = "/.well-known/jwks.json"
ROTATE = "/v1/webhooks/default/key/rotate"
SECRETS = "/v1/webhooks/default/secrets"
ON = "[webhooks]\nv1a = true\n"
DAY = 86400


@asynccontextmanager
async def signing(folder: Path, settings: str, clock: MovedClock) -> AsyncIterator[Server]:
    config = folder / "ringback.toml"
    config.write_text(settings)
    arguments = (model("test/echo", "echo"), "--config", str(config))
    async with serving(*arguments, data=folder / "data", command=clock.command, env=clock.env) as server:
        yield server
        assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> MovedClock:
    return MovedClock(tmp_path_factory.mktemp("clock") / "ahead")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, clock: MovedClock) -> AsyncIterator[Server]:
    async with signing(tmp_path_factory.mktemp("keys"), ON, clock) as server:
        yield server


async def listed(server: Server) -> list[dict[str, Any]]:
    """The public keys, as a receiver reads them: without a token."""
    answer = await ask(server, "GET", JWKS, token=None)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert list(answer.json) == ["keys"]
    return list(answer.json["keys"])


def public(jwk: dict[str, Any]) -> str:
    return "whpk_" + base64.b64encode(base64.urlsafe_b64decode(jwk["x"] + "=")).decode()


async def rung(server: Server, receiver: Receiver) -> Received:
    created = await server.create("test/echo", {"text": "hi"}, webhook=receiver.url)
    await receiver.until(lambda r: bool(r.of(created["id"])))
    return receiver.of(created["id"])[0]


def forms(item: Received) -> list[str]:
    return [entry.partition(",")[0] for entry in item.headers["webhook-signature"].split(" ")]


def signed_with(item: Received, jwk: dict[str, Any]) -> bool:
    stamp = item.headers["webhook-timestamp"]
    try:
        verify([public(jwk)], item.id, stamp, item.body, item.headers["webhook-signature"], now=int(stamp))
    except VerificationError:
        return False
    return True


async def rotated(server: Server, clock: MovedClock) -> dict[str, Any]:
    clock.wait(61)
    answer = await ask(server, "POST", ROTATE)
    assert answer.status == 200
    assert set(answer.json) == {"kid", "key"}
    assert answer.json["key"].startswith("whpk_")
    return dict(answer.json)


async def test_the_public_key_that_a_request_is_signed_with_is_there_for_everybody(
    server: Server, receiver: Receiver
) -> None:
    (jwk,) = await listed(server)
    assert set(jwk) == {"kty", "crv", "x", "kid", "use", "alg"}  # and no `d`, which would be the private key
    assert [jwk[name] for name in ("kty", "crv", "use", "alg")] == ["OKP", "Ed25519", "sig", "EdDSA"]
    assert jwk["kid"] == thumbprint(base64.urlsafe_b64decode(jwk["x"] + "="))
    item = await rung(server, receiver)
    assert forms(item) == ["v1", "v1", "v1a"]
    assert signed_with(item, jwk)
    other = {**jwk, "x": base64.urlsafe_b64encode(bytes([1]) + bytes(31)).decode().rstrip("=")}
    assert not signed_with(item, other)


async def test_the_public_keys_may_be_kept_for_five_minutes(server: Server) -> None:
    for path in JWKS, f"/v1{JWKS}":
        answer = await ask(server, "GET", path, token=None)
        assert answer.headers["cache-control"] == "public, max-age=300"
    assert (await ask(server, "HEAD", JWKS, token=None)).status == 200


@pytest.mark.parametrize(("method", "path"), [("POST", ROTATE), ("GET", SECRETS)])
async def test_nobody_without_a_token_rotates_or_lists(server: Server, method: str, path: str) -> None:
    before = await listed(server)
    for token in None, "r8_wrong":
        assert (await ask(server, method, path, token=token)).status == 401
    assert await listed(server) == before


async def test_for_the_overlap_both_key_pairs_sign_and_are_listed_and_then_the_new_one_alone(
    server: Server, receiver: Receiver, clock: MovedClock
) -> None:
    old = (await listed(server))[0]
    new = await rotated(server, clock)
    both = await listed(server)
    assert [jwk["kid"] for jwk in both] == [new["kid"], old["kid"]]
    assert public(both[0]) == new["key"]
    item = await rung(server, receiver)
    assert forms(item) == ["v1", "v1", "v1a", "v1a"]
    assert [signed_with(item, jwk) for jwk in both] == [True, True]
    clock.wait(DAY)
    assert await listed(server) == both[:1]
    item = await rung(server, receiver)
    assert forms(item) == ["v1", "v1", "v1a"]
    assert [signed_with(item, jwk) for jwk in both] == [True, False]


async def test_at_most_the_newest_two_key_pairs_sign_and_are_listed(
    server: Server, receiver: Receiver, clock: MovedClock
) -> None:
    made = [(await rotated(server, clock))["kid"] for _ in range(3)]
    assert [jwk["kid"] for jwk in await listed(server)] == [made[2], made[1]]
    assert forms(await rung(server, receiver)).count("v1a") == 2


async def test_a_rotation_of_the_key_pair_asked_for_again_gives_the_one_already_made(
    server: Server, clock: MovedClock
) -> None:
    new = await rotated(server, clock)
    before = await listed(server)
    assert (await ask(server, "POST", ROTATE)).json == new
    assert await listed(server) == before


async def test_three_secrets_and_two_key_pairs_make_a_header_below_a_kilobyte(
    server: Server, receiver: Receiver, clock: MovedClock
) -> None:
    for _ in range(3):
        await rotated(server, clock)
        assert (await ask(server, "POST", "/v1/webhooks/default/secret/rotate")).status == 200
    item = await rung(server, receiver)
    assert forms(item) == ["v1"] * 6 + ["v1a"] * 2
    assert len("webhook-signature: " + item.headers["webhook-signature"]) < 1024
    clock.wait(DAY)


async def test_the_list_tells_what_signs_until_when_and_no_value(server: Server, clock: MovedClock) -> None:
    old = (await listed(server))[0]["kid"]
    new = (await rotated(server, clock))["kid"]
    assert (await ask(server, "POST", "/v1/webhooks/default/secret/rotate")).status == 200
    answer = await ask(server, "GET", SECRETS)
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json
    assert all(set(item) - {"kid"} == {"form", "created_at", "expires_at", "signs"} for item in found)
    told = [(item["form"], item.get("kid"), item["expires_at"] is None, item["signs"]) for item in found]
    assert told == [
        ("v1", None, True, True),
        ("v1", None, False, True),
        ("v1a", new, True, True),
        ("v1a", old, False, True),
    ]
    assert found[1]["created_at"] < found[0]["created_at"] < found[1]["expires_at"]
    assert all(item["created_at"].endswith("Z") for item in found)
    for prefix in (b"whsec_", b"whsk_", b"whpk_"):
        assert prefix not in answer.body
    secret = (await server.secret()).removeprefix("whsec_")
    assert secret.encode() not in answer.body
    clock.wait(DAY)
    assert [item["signs"] for item in (await ask(server, "GET", SECRETS)).json] == [True, False] * 2


async def test_without_an_overlap_the_former_key_is_gone_at_once_and_nobody_is_told_to_keep_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    clock = MovedClock(tmp_path / "ahead")
    async with signing(tmp_path, ON + "secret_overlap_s = 0\n", clock) as server:
        (old,) = await listed(server)
        new = (await ask(server, "POST", ROTATE)).json
        assert [jwk["kid"] for jwk in await listed(server)] == [new["kid"]]
        answer = await ask(server, "GET", JWKS, token=None)
        assert answer.headers["cache-control"] == "public, max-age=0"
        item = await rung(server, receiver)
        assert forms(item) == ["v1", "v1", "v1a"]
        assert not signed_with(item, old)


async def test_v1a_is_off_unless_asked_for_and_its_key_outlives_being_switched_off(
    tmp_path: Path, receiver: Receiver
) -> None:
    clock = MovedClock(tmp_path / "ahead")
    async with signing(tmp_path, ON, clock) as server:
        made = await listed(server)
        assert len(made) == 1
    async with signing(tmp_path, "", clock) as server:
        assert await listed(server) == []
        assert forms(await rung(server, receiver)) == ["v1", "v1"]
        refusal = await ask(server, "POST", ROTATE)
        assert refusal.status == 404
        assert "webhooks.v1a" in refusal.problem["detail"]
        found = (await ask(server, "GET", SECRETS)).json
        assert [(item["form"], item["signs"]) for item in found] == [("v1", True), ("v1a", False)]
    async with signing(tmp_path, ON, clock) as server:
        assert await listed(server) == made
        assert signed_with(await rung(server, receiver), made[0])
