"""What each client makes of a 429: whether it waits as it is told to, and how it says so."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.clients import ClientError, first_python, javascript, second_python
from support.server import Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("limited")
    (folder / "ringback.toml").write_text("[limits]\ncreates_per_min = 30\nrequests_per_min = 30\n")
    config = ["--config", str(folder / "ringback.toml")]
    async with serving(model("test/echo", "echo"), *config, data=folder / "data") as server:
        yield server


CREATE = {"version": "test/echo", "input": {"text": "a"}}


async def used_up(server: Server, method: str) -> list[str]:
    """Ask until the token may not any more, for the next two seconds; give what was made."""
    made: list[str] = []
    while True:
        status, body = await server.call(method, "/v1/predictions", None if method == "GET" else CREATE)
        if status == 429:
            return made
        made += [body["id"]] if method == "POST" else []


async def test_javascript_asks_again_at_once_and_then_tells_it_in_replicates_words(limited: Server) -> None:
    async with javascript(limited.url) as js:
        await js.call("accounts.current")  # it has started: what follows comes within the two seconds
        await used_up(limited, "GET")
        with pytest.raises(ClientError) as caught:
            await js.call("predictions.list")
        assert (caught.value.name, caught.value.facts["status"]) == ("ApiError", 429)
        assert "429 Too Many Requests" in str(caught.value)
        assert '"detail":"Request was throttled. Your rate limit resets in ~' in str(caught.value)
        assert [one["status"] for one in await js.ask("requests")] == [429] * 6


async def test_the_first_python_client_waits_with_a_get_and_raises_of_a_post(limited: Server) -> None:
    async with first_python(limited.url) as py1:
        await py1.call("accounts.current")
        made = await used_up(limited, "POST")
        with pytest.raises(ClientError) as caught:
            await py1.call("predictions.create", **CREATE)
        assert (caught.value.name, caught.value.facts["status"]) == ("ReplicateError", 429)
        await used_up(limited, "GET")
        listed = await py1.call("predictions.list")
        assert [item["id"] for item in listed["results"]] == made[::-1]


async def test_the_second_python_client_waits_as_long_as_it_is_told_and_creates_one(limited: Server) -> None:
    async with second_python(limited.url) as py2:
        await py2.call("account.get")
        await py2.ask("requests")
        made = await used_up(limited, "POST")
        created = await py2.call("predictions.create", **CREATE)
        assert [one["status"] for one in await py2.ask("requests")] == [429, 201]
        listed = await py2.call("predictions.list")
        assert [item["id"] for item in listed["results"]][:2] == [created["id"], made[-1]]
