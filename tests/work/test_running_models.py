"""Models as they really behave, in a real server."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio
from aiohttp import web

from support.receiver import receiving
from support.server import TOKEN, Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[server]
cancel_grace_s = 0.3
[webhooks]
throttle_s = 0.2
[models."test/behave"]
dir = "{behave}"
timeout_s = 1.0
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("work")
    config = folder / "ringback.toml"
    behave = model("test/behave", "behave").partition("=")[2]
    config.write_text(CONFIG.format(behave=behave))
    models = [model("test/tokens", "tokens"), model("test/painter", "painter")]
    async with serving("--config", str(config), *models, data=folder / "data") as running:
        yield running


async def ran(server: Server, mode: str, size: int = 0) -> dict[str, object]:
    created = await server.create("test/behave", {"mode": mode, "size": size})
    return await server.ended(created["id"])


async def test_an_exception_is_the_error_and_its_traceback_is_in_the_logs(server: Server) -> None:
    ended = await ran(server, "raises")
    assert (ended["status"], ended["error"], ended["output"]) == ("failed", "no such luck", None)
    assert str(ended["logs"]).startswith("before it fails\nTraceback")


async def test_a_child_that_dies_fails_its_prediction_and_is_replaced(server: Server) -> None:
    ended = await ran(server, "dies")
    assert (ended["status"], ended["error"]) == ("failed", "The model's process was killed by SIGKILL")
    assert (await ran(server, "pid"))["status"] == "succeeded"


async def test_the_time_limit_stops_a_prediction_that_can_be_interrupted(server: Server) -> None:
    pid = (await ran(server, "pid"))["output"]
    ended = await ran(server, "hangs")
    assert ended["status"] == "failed"
    assert ended["error"] == "Prediction timed out after 1 s (the model's time limit)"
    assert ended["logs"] == "hanging\n"
    assert (await ran(server, "pid"))["output"] == pid, "the child could have lived"


async def test_a_predictor_that_goes_on_after_a_cancel_is_killed(server: Server) -> None:
    created = await server.create("test/behave", {"mode": "insists"})
    await logged(server, created["id"], "insisting\n")
    status, canceled = await server.call("POST", f"/v1/predictions/{created['id']}/cancel")
    assert (status, canceled["status"]) == (200, "canceled")
    assert (await ran(server, "pid"))["status"] == "succeeded"


async def logged(server: Server, id_: str, text: str) -> None:
    while True:
        _, body = await server.call("GET", f"/v1/predictions/{id_}")
        if text in body["logs"]:
            return


async def test_nan_is_a_clear_failure(server: Server) -> None:
    ended = await ran(server, "nan")
    assert ended["status"] == "failed"
    assert "NaN" in str(ended["error"])


async def test_an_output_nested_too_deep_is_a_clear_failure_and_the_next_one_runs(server: Server) -> None:
    ended = await ran(server, "deep", 400)
    assert ended["status"] == "failed"
    assert "nested" in str(ended["error"])
    assert (await ran(server, "pid"))["status"] == "succeeded"


async def test_logs_hold_what_c_code_and_grandchildren_print_and_binary_is_replaced(server: Server) -> None:
    ended = await ran(server, "prints")
    assert ended["logs"] == "\ufffd\ufffdbinary\nfrom a grandchild\n"


async def test_endless_logs_are_cut_and_say_so(server: Server) -> None:
    ended = await ran(server, "prints", 6000)
    assert ended["status"] == "succeeded"
    logs = str(ended["logs"])
    assert logs.endswith("\n[ringback: the rest of the logs is left out]\n")
    assert len(logs) < 5_000_200


async def test_a_lone_surrogate_becomes_a_replacement_character(server: Server) -> None:
    assert (await ran(server, "surrogate"))["output"] == "a\ufffdb"


async def test_a_model_never_sees_the_api_token(server: Server) -> None:
    assert TOKEN
    assert (await ran(server, "secret"))["output"] == "not here"


async def test_tokens_ring_back_while_they_come_and_the_last_snapshot_is_whole(server: Server) -> None:
    async with receiving() as receiver:
        words = " ".join(f"w{number}" for number in range(12))
        events = ["start", "output", "completed"]
        created = await server.create(
            "test/tokens",
            {"text": words, "pause": 0.05},
            webhook=receiver.url,
            webhook_events_filter=events,
        )
        await receiver.until(lambda r: any(item.event == "completed" for item in r.acknowledged))
        got = receiver.of(created["id"])
    assert [item.number for item in got] == sorted({item.number for item in got})
    assert got[0].event == "start"
    assert got[0].prediction["status"] == "processing"
    assert got[0].prediction["output"] is None
    outputs = [item.prediction["output"] for item in got if item.event == "output"]
    assert outputs[0] == ["w0"], "the first token comes at once"
    assert 2 <= len(outputs) <= 6, "then one in each window"
    assert all(len(before) < len(after) for before, after in pairwise(outputs))
    assert got[-1].prediction["output"] == words.split()


async def test_output_without_completed_ends_with_the_final_snapshot(server: Server) -> None:
    async with receiving() as receiver:
        created = await server.create(
            "test/tokens",
            {"text": "a b c", "pause": 0.01},
            webhook=receiver.url,
            webhook_events_filter=["output"],
        )
        await receiver.until(
            lambda r: any(item.prediction["status"] == "succeeded" for item in r.acknowledged)
        )
        got = receiver.of(created["id"])
    assert {item.event for item in got} == {"output"}
    assert got[-1].prediction["output"] == ["a", "b", "c"]


async def test_a_data_uri_comes_in_as_a_file_and_files_go_out_as_urls(server: Server) -> None:
    created = await server.create(
        "test/painter", {"document": "data:text/plain;base64,aGVsbG8=", "copies": 2, "name": "a b.html"}
    )
    ended = await server.ended(created["id"])
    assert ended["status"] == "succeeded", ended
    first, second = ended["output"]
    assert first != second
    assert first.startswith(f"{server.url}/f/")
    async with server.session.get(first) as answer:
        assert (answer.status, await answer.text()) == (200, "HELLO")
        assert answer.content_type == "text/html"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
    async with server.session.get(first, headers={"range": "bytes=1-2"}) as answer:
        assert (answer.status, await answer.text()) == (206, "EL")
    async with server.session.get(server.url + "/f/0000/x") as answer:
        assert answer.status == 404


async def test_an_output_file_can_be_the_next_input(server: Server) -> None:
    first = await server.create("test/painter", {"document": "data:text/plain,one"})
    url = (await server.ended(first["id"]))["output"][0]
    second = await server.create("test/painter", {"document": url})
    assert (await server.ended(second["id"]))["status"] == "succeeded"


async def test_an_input_is_fetched_by_url_under_the_address_rules(server: Server) -> None:
    app = web.Application()

    async def document(_request: web.Request) -> web.Response:
        return web.Response(text="fetched")

    app.router.add_get("/doc.txt", document)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        created = await server.create("test/painter", {"document": f"{base}/doc.txt"})
        ended = await server.ended(created["id"])
        async with server.session.get(ended["output"][0]) as answer:
            assert await answer.text() == "FETCHED"
        created = await server.create("test/painter", {"document": f"{base}/none.txt?key=hidden"})
        ended = await server.ended(created["id"])
        assert ended["status"] == "failed"
        assert ended["error"] == f"input 'document': {base}/none.txt?key=*** answered 404"
    finally:
        await runner.cleanup()
    created = await server.create("test/painter", {"document": "http://169.254.169.254/latest"})
    ended = await server.ended(created["id"])
    assert ended["status"] == "failed"
    reason = "169.254.169.254 is a cloud metadata address (allow it with egress.allow)"
    assert f"can't be fetched: refused: {reason}" in ended["error"]


@pytest.mark.parametrize("path", ["/etc/hostname", "../../etc/hostname"])
async def test_a_local_path_is_refused_at_once(server: Server, path: str) -> None:
    body = {"version": "test/painter", "input": {"document": path}}
    status, answer = await server.call("POST", "/v1/predictions", body)
    assert status == 422
    assert answer["invalid_fields"][0]["field"] == "input.document"


async def test_a_file_url_is_never_read(server: Server) -> None:
    created = await server.create("test/painter", {"document": "file:///etc/hostname"})
    ended = await server.ended(created["id"])
    assert ended["status"] == "failed"
    assert "document" in ended["error"]


async def test_a_canceled_prediction_that_was_sent_ahead_never_runs(server: Server) -> None:
    await ran(server, "pid")  # quick ones: the replica now holds several at a time
    blocker = await server.create("test/behave", {"mode": "hangs"})
    await logged(server, blocker["id"], "hanging\n")
    queued = [await server.create("test/behave", {"mode": "pid"}) for _ in range(5)]
    for item in queued:
        _, canceled = await server.call("POST", f"/v1/predictions/{item['id']}/cancel")
        assert canceled["status"] == "canceled"
    await server.ended(blocker["id"])
    for item in queued:
        assert (await server.ended(item["id"]))["output"] is None
