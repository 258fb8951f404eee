"""How many endpoints an account may pause, in a server of its own."""

import asyncio

import pytest

from api.asking import ask
from ringback.api.endpoints import MOST_PAUSED
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINTS = "/v1/webhooks/endpoints"


async def status(server: Server, verb: str, number: int) -> int:
    return (await ask(server, "POST", f"{ENDPOINTS}/{verb}", {"url": f"https://example.com/{number}"})).status


async def test_a_thousand_may_be_paused_used_or_not_and_no_more_until_one_is_resumed(server: Server) -> None:
    paused = await asyncio.gather(*(status(server, "pause", number) for number in range(MOST_PAUSED)))
    assert set(paused) == {200}
    answer = await ask(server, "POST", f"{ENDPOINTS}/pause", {"url": "https://example.com/one/more"})
    assert answer.status == 409
    assert "resume one" in answer.problem["detail"]
    assert await status(server, "pause", 7) == 200  # it is already
    assert await status(server, "resume", 7) == 200
    assert await status(server, "pause", MOST_PAUSED) == 200
    assert await status(server, "pause", 7) == 409
