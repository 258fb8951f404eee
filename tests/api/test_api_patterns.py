"""Patterns of inputs: they are Python's, and what checks them is not."""

import pytest

from api.asking import ask, count
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_pattern_with_pythons_end_of_text_is_checked(server: Server) -> None:
    assert (await server.create("test/spelling", {"word": "abc"}))["status"] == "starting"
    for word in ("abc\n", "ABC"):
        answer = await ask(
            server, "POST", "/v1/predictions", {"version": "test/spelling", "input": {"word": word}}
        )
        assert answer.status == 422
        assert answer.problem["invalid_fields"][0]["type"] == "pattern"


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/models/test/unfit/predictions"])
async def test_a_schema_that_can_not_be_used_is_422_with_the_reason_and_is_logged(
    server: Server, path: str
) -> None:
    before = await count(server)
    version = {} if "unfit" in path else {"version": "test/unfit"}
    answer = await ask(server, "POST", path, {**version, "input": {"word": "ab"}})
    assert answer.status == 422
    assert answer.problem["title"] == "Invalid version"
    assert answer.problem["detail"].startswith("The input schema of this version can't be used: ")
    assert "properties.word.pattern: " in answer.problem["detail"]
    assert "its input schema can't be used" in server.log()
    assert await count(server) == before
