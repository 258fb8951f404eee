"""The model that stands in for FLUX.1 [schnell] takes its inputs, and gives a list of pictures as it does."""

import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from docs.pages import ROOT
from support.server import Server, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "black-forest-labs/flux-schnell"
QUICK = {"prompt": "a", "num_inference_steps": 1, "megapixels": "0.25"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    model = f"{NAME}={ROOT / 'demo/models/flux-schnell'}"
    async with serving(model, data=tmp_path_factory.mktemp("painter") / "data") as found:
        yield found


async def painted(server: Server, input_: dict[str, Any]) -> list[bytes]:
    ended = await server.ended((await server.create(NAME, input_))["id"])
    assert ended["status"] == "succeeded", ended
    pictures = []
    for url in ended["output"]:
        async with server.session.get(url) as answer:
            assert (answer.status, answer.content_type) == (200, "image/png")
            pictures.append(await answer.read())
    return pictures


async def test_it_takes_all_that_clients_give_the_real_one(server: Server) -> None:
    given = {
        **QUICK,
        "aspect_ratio": "21:9",
        "num_outputs": 2,
        "seed": 7,
        "output_format": "png",
        "output_quality": 90,
        "disable_safety_checker": True,
        "go_fast": False,
    }
    pictures = await painted(server, given)
    assert [struct.unpack(">II", picture[16:24]) for picture in pictures] == [(224, 96), (224, 96)]
    assert pictures[0] != pictures[1]
    assert await painted(server, given) == pictures
    _, shown = await server.call("GET", f"/v1/models/{NAME}")
    properties = shown["latest_version"]["openapi_schema"]["components"]["schemas"]["Input"]["properties"]
    assert set(properties) == {*given, "prompt"}


@pytest.mark.parametrize(
    "wrong",
    [{"aspect_ratio": "1:2"}, {"num_outputs": 5}, {"num_inference_steps": 0}, {"output_format": "webp"}],
    ids=str,
)
async def test_what_it_can_not_do_is_refused_at_once(server: Server, wrong: dict[str, Any]) -> None:
    body = {"version": NAME, "input": {**QUICK, **wrong}}
    status, answer = await server.call("POST", "/v1/predictions", body)
    assert (status, answer["invalid_fields"][0]["field"]) == (422, f"input.{next(iter(wrong))}")
