"""Rate limits: each token its own, creating apart from the rest, told in headers and in a 429."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from starlette.requests import HTTPConnection

from api.asking import Answer, ask
from commands.running import run
from ringback.api import limits as module
from ringback.api.limits import Limits, headers
from ringback.words.errors import TooMany
from support.server import Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATES, REQUESTS = 3, 5
"""A minute: the next one more comes after 20 s, and 12 s, which no test takes."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("limits")
    config = folder / "ringback.toml"
    config.write_text(
        f"[limits]\ncreates_per_min = {CREATES}\nrequests_per_min = {REQUESTS}\n"
        '[server]\ntrusted_proxies = ["127.0.0.1"]\n'
    )
    async with serving(model("test/echo", "echo"), "--config", str(config), data=folder / "data") as server:
        yield server
        assert "Traceback" not in server.log()


@pytest_asyncio.fixture(loop_scope="module")
async def token(limited: Server) -> str:
    """A token that has asked for nothing yet."""
    return await new_token(limited)


async def new_token(server: Server) -> str:
    done = await run("token", "new", "--account", "anna", data=server_data(server))
    return done.out.strip()


def server_data(server: Server) -> Path:
    arguments = [str(each) for each in server.process.args]  # type: ignore[union-attr]
    return Path(arguments[arguments.index("--data") + 1])


def told(answer: Answer) -> tuple[str | None, ...]:
    return tuple(answer.headers.get(f"ratelimit-{name}") for name in ("limit", "remaining", "reset"))


async def create(server: Server, token: str, path: str = "/v1/predictions") -> Answer:
    body = {"version": "test/echo", "input": {"text": "hi"}}
    if "models" in path:
        del body["version"]
    return await ask(server, "POST", path, body, token=token)


async def test_each_answer_says_how_many_more_there_may_be_and_one_too_many_is_429(
    limited: Server, token: str
) -> None:
    for left in range(REQUESTS - 1, -1, -1):
        answer = await ask(limited, "GET", "/v1/predictions", token=token)
        assert answer.status == 200
        assert told(answer)[:2] == (str(REQUESTS), str(left))
    refused = await ask(limited, "GET", "/v1/predictions", token=token)
    seconds = int(refused.headers["retry-after"])
    assert 1 <= seconds <= 12
    assert refused.problem == {
        "detail": f"Request was throttled. Your rate limit resets in ~{seconds}s.",
        "status": 429,
        "retry_after": seconds,
    }
    assert told(refused)[:2] == (str(REQUESTS), "0")
    assert 48 <= int(told(refused)[2] or "") <= 60


async def test_creating_is_counted_apart_over_all_its_routes(limited: Server, token: str) -> None:
    paths = ["/v1/predictions", "/models/test/echo/predictions", "/v1/v1/predictions"]
    for left, path in zip(range(CREATES - 1, -1, -1), paths, strict=True):
        answer = await create(limited, token, path)
        assert (answer.status, told(answer)[:2]) == (201, (str(CREATES), str(left)))
    assert (await create(limited, token)).status == 429
    assert (await ask(limited, "GET", "/v1/predictions", token=token)).status == 200


async def test_a_request_that_is_wrong_counts_too(limited: Server, token: str) -> None:
    for _ in range(CREATES):
        assert (await ask(limited, "POST", "/v1/predictions", b"{", token=token)).status == 400
    assert (await create(limited, token)).status == 429


async def test_another_token_of_the_same_account_has_its_own(limited: Server, token: str) -> None:
    for _ in range(CREATES + 1):
        last = await create(limited, token)
    assert last.status == 429
    assert (await create(limited, await new_token(limited))).status == 201


async def test_what_needs_no_token_is_not_limited(limited: Server) -> None:
    for _ in range(3 * REQUESTS):
        answer = await ask(limited, "GET", "/health", token=None)
        assert (answer.status, told(answer)) == (200, (None, None, None))


async def test_an_address_that_tries_token_after_token_is_slowed_down_and_no_other(limited: Server) -> None:
    def attempt(number: int, address: str) -> asyncio.Future[Answer]:
        headers = {"x-forwarded-for": address}
        asked = ask(limited, "GET", "/v1/predictions", token=f"r8_guess_{number}", headers=headers)
        return asyncio.ensure_future(asked)

    answers = await asyncio.gather(*(attempt(number, "203.0.113.7") for number in range(300)))
    statuses = [answer.status for answer in answers]
    assert statuses.count(401) >= 100
    assert statuses.count(429) > 50
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.problem["retry_after"] == int(refused.headers["retry-after"]) == 1
    assert (await attempt(0, "203.0.113.8")).status == 401
    known = await new_token(limited)
    assert (await ask(limited, "GET", "/v1/predictions", token=known)).status == 200


async def test_who_shares_an_address_with_who_guesses_is_let_in(limited: Server) -> None:
    """With a token that the server has not seen since its start."""
    token = await new_token(limited)
    headers = {"x-forwarded-for": "203.0.113.9"}
    guesses = [
        ask(limited, "GET", "/v1/predictions", token=f"r8_other_{number}", headers=headers)
        for number in range(300)
    ]
    asked = ask(limited, "GET", "/v1/predictions", token=token, headers=headers)
    *refused, answer = await asyncio.gather(*guesses, asked)
    assert {each.status for each in refused} == {401, 429}
    assert answer.status == 200


# Of a clock that is moved


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def request(method: str = "GET", path: str = "/predictions") -> HTTPConnection:
    return HTTPConnection({"type": "http", "method": method, "path": path, "headers": []})


async def test_after_the_told_seconds_the_next_one_is_let_pass() -> None:
    clock = Clock()
    limits = Limits(clock, requests_per_min=6)
    for _ in range(6):
        limits.count(request(), "key")
    with pytest.raises(TooMany) as refused:
        limits.count(request(), "key")
    assert refused.value.retry_after == 10
    clock.now += 9.9
    with pytest.raises(TooMany):
        limits.count(request(), "key")
    clock.now += 0.1
    limits.count(request(), "key")


async def test_without_limits_nothing_is_said() -> None:
    limits, asked = Limits(Clock()), request("POST")
    for _ in range(10_000):
        limits.count(asked, "key")
    assert headers(asked.scope) == {}


async def test_addresses_of_one_ipv6_network_are_one() -> None:
    limits = Limits(Clock())
    for number in range(100):
        limits.stranger(f"2001:db8::{number:x}")
    with pytest.raises(TooMany):
        limits.stranger("2001:db8::ffff:1")
    limits.stranger("2001:db8:0:1::1")


async def test_what_is_remembered_is_bounded_and_who_asked_last_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    limits = Limits(Clock(), requests_per_min=2)
    for _ in range(2):
        limits.count(request(), "busy")
    for number in range(1000):
        limits.count(request(), f"key {number}")
        with pytest.raises(TooMany):
            limits.count(request(), "busy")
    assert limits._requests is not None
    assert len(limits._requests._full_at) == 10
