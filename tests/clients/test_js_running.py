"""npm replicate 1.4.0, unchanged: run, stream, wait, abort, files in and out, webhooks, errors."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from support.clients import Client, ClientError, javascript
from support.receiver import Receiver
from support.server import TOKEN, Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="package")

CANARY = "replicate/canary:30e22229542eb3f79d4f945dacb58d32001b02cc313ae6f54eef27904edf3272"
POLL = {"mode": "poll", "interval": 20}


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def file_of(text: str, type_: str = "text/plain") -> dict[str, str]:
    """What a client shows of a file output that came as a data URI."""
    return {"$file_output": base64_of(text), "url": f"data:{type_};base64,{base64_of(text)}", "type": type_}


async def run(js: Client, ref: str, input_: dict[str, Any], **more: Any) -> Any:
    options = more.pop("options", {})
    return await js.ask("run", ref=ref, given={"input": input_, **more}, options=options)


@pytest.mark.parametrize("ref", [CANARY, "replicate/canary"])
async def test_run_gives_what_replicates_own_tests_of_the_client_expect(js: Client, ref: str) -> None:
    found = await run(js, ref, {"text": "Claire CommonJS"})
    assert "".join(found["output"]) == "hello there, Claire CommonJS"
    assert [each["status"] for each in found["told"]] == ["succeeded", "succeeded"]


async def test_run_by_polling_tells_of_the_progress(js: Client) -> None:
    found = await run(js, "test/tokens", {"text": "a b c", "pause": 0.05}, wait=POLL)
    assert found["output"] == ["a", "b", "c"]
    statuses = [each["status"] for each in found["told"]]
    assert (statuses[0], statuses[-1]) == ("starting", "succeeded")
    assert set(statuses[1:-1]) <= {"starting", "processing"}
    assert len(statuses) > 2


async def test_run_goes_on_by_polling_when_the_held_answer_came_too_early(js: Client) -> None:
    found = await run(
        js, "test/tokens", {"text": "a b c", "pause": 0.5}, wait={"mode": "block", "timeout": 1}
    )
    assert found["output"] == ["a", "b", "c"]
    assert found["told"][0]["status"] == "starting"


async def test_run_throws_what_the_model_raised(js: Client) -> None:
    for wait in {"mode": "block"}, POLL:
        with pytest.raises(ClientError) as caught:
            await run(js, "test/behave", {"mode": "raises"}, wait=wait)
        assert caught.value.facts["message"] == "Prediction failed: no such luck"


async def test_an_abort_signal_cancels_the_prediction(js: Client, server: Server) -> None:
    given = {"input": {"text": "a b", "pause": 60}, "wait": POLL}
    found = await js.ask("aborted", ref="test/tokens", given=given, at="processing")
    assert found["told"][-1]["status"] == "canceled"
    ended = await server.ended(found["told"][0]["id"])
    assert ended["status"] == "canceled"
    assert found["output"] in (None, ["a"])


async def test_an_abort_before_it_started_cancels_it_too(js: Client, server: Server) -> None:
    blocking = await server.create("test/behave", {"mode": "hangs"})
    await server.reached(blocking["id"], "processing")
    given = {"input": {"mode": "hangs"}, "wait": POLL}
    found = await js.ask("aborted", ref="test/behave", given=given, at="starting")
    assert [each["status"] for each in found["told"]][-1] == "canceled"
    assert found["output"] is None
    await server.call("POST", f"/v1/predictions/{blocking['id']}/cancel")


async def test_a_file_of_a_held_answer_is_read_from_its_data_uri(js: Client) -> None:
    document = "data:text/plain;base64," + base64_of("quiet")
    found = await run(js, "test/painter", {"document": document, "copies": 2})
    assert found["output"] == [file_of("QUIET"), file_of("QUIET")]
    plain = await run(js, "test/painter", {"document": document}, options={"useFileOutput": False})
    assert plain["output"] == [file_of("QUIET")["url"]]


async def test_a_file_that_was_polled_for_is_a_url_that_needs_no_token(js: Client, server: Server) -> None:
    found = await run(js, "test/painter", {"document": "data:,quiet"}, wait=POLL)
    (url,) = found["output"]
    assert url.startswith(f"{server.url}/f/")
    async with server.session.get(url) as answer:
        assert (answer.status, await answer.text()) == (200, "QUIET")


async def test_behind_https_a_file_is_fetched_from_its_url_without_the_token(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    public = "https://predictions.example.com"
    given = [model("test/painter", "painter"), "--public-url", public]
    async with (
        serving(*given, data=tmp_path / "data", port=unused_tcp_port) as server,
        javascript(public, RINGBACK_PUBLIC_URL=public, RINGBACK_URL=server.url) as js,
    ):
        found = await run(js, "test/painter", {"document": "data:,quiet"})
        (file,) = found["output"]
        assert file["$file_output"] == base64_of("QUIET")
        assert file["url"].startswith(f"{public}/f/")
        sent = await js.ask("requests")
        assert [(each["method"], each["authorized"]) for each in sent] == [("POST", True), ("GET", False)]


async def test_stream_gives_each_piece_and_then_done(js: Client) -> None:
    events = await js.ask("stream", ref=CANARY, given={"input": {"text": "two\nlines"}})
    assert [(event["event"], event["data"]) for event in events] == [
        ("output", "hello "),
        ("output", "there, "),
        ("output", "two\nlines"),
        ("done", "{}"),
    ]
    assert len({event["id"] for event in events[:3]}) == 3
    assert events[3]["id"]


async def test_stream_throws_what_the_model_raised(js: Client) -> None:
    with pytest.raises(ClientError) as caught:
        await js.ask("stream", ref="test/teller", given={"input": {"text": "a b", "failure": "no such luck"}})
    assert json.loads(caught.value.facts["message"]) == {"detail": "no such luck"}


async def test_stream_ends_with_the_reason_when_it_is_canceled(js: Client, server: Server) -> None:
    given = {"input": {"text": "a b", "pause": 60}}
    streaming = asyncio.create_task(js.ask("stream", ref="test/tokens", given=given))
    async with asyncio.timeout(20):
        while not (running := await processing(server, "test/tokens")):
            pass
    await server.call("POST", f"/v1/predictions/{running[0]}/cancel")
    events = await streaming
    assert (events[-1]["event"], json.loads(events[-1]["data"])) == ("done", {"reason": "canceled"})
    assert [event["data"] for event in events if event["event"] == "output"] in (["a"], [])


async def processing(server: Server, name: str) -> list[str]:
    _, page = await server.call("GET", "/v1/predictions")
    return [
        item["id"] for item in page["results"] if item["model"] == name and item["status"] == "processing"
    ]


async def test_a_model_that_gives_one_value_is_streamed_as_one_piece(js: Client) -> None:
    events = await js.ask("stream", ref="test/echo", given={"input": {"text": "a", "times": 3}})
    assert [(event["event"], event["data"]) for event in events] == [("output", "aaa"), ("done", "{}")]


async def test_files_are_streamed_as_urls_and_not_taken_for_a_stream_of_one_file(js: Client) -> None:
    events = await js.ask("stream", ref="test/painter", given={"input": {"document": "data:,quiet"}})
    (url,) = (event["data"] for event in events if event["event"] == "output")
    assert url.endswith("/0-out.txt")


@pytest.mark.parametrize("strategy", ["default", "upload"])
async def test_blobs_files_and_buffers_however_deep_are_uploaded_and_read(js: Client, strategy: str) -> None:
    given = {
        "cover": {"$blob": base64_of("cover"), "type": "text/plain"},
        "pages": [
            {"$file": base64_of("one"), "name": "one.txt", "type": "text/plain"},
            {"$buffer": base64_of("two")},
        ],
        "name": "näme.txt",
    }
    found = await run(js, "test/collate", given, options={"fileEncodingStrategy": strategy})
    assert found["output"]["$file_output"] == base64_of("cover|one|two")
    sent = [(each["method"], each["path"]) for each in await js.ask("requests")]
    assert sent[:4] == [("POST", "/v1/files")] * 3 + [("POST", "/v1/models/test/collate/predictions")]


async def test_an_input_that_is_the_client_itself_is_refused_and_its_token_is_nowhere(
    js: Client, server: Server
) -> None:
    options = {"fileEncodingStrategy": "data-uri"}
    with pytest.raises(ClientError) as caught:
        await run(js, "test/echo", {"text": "hi"}, options=options)
    assert (caught.value.name, caught.value.facts["status"]) == ("ApiError", 422)
    assert TOKEN not in str(caught.value)
    assert TOKEN not in server.log()


async def test_an_upload_that_is_refused_is_thrown_and_not_turned_into_a_data_uri(js: Client) -> None:
    given = {"text": {"$buffer": base64_of("two")}}
    with pytest.raises(ClientError) as caught:
        await run(js, "test/echo", given, options={"auth": "r8_wrong"})
    assert (caught.value.name, caught.value.facts["status"]) == ("ApiError", 401)
    assert [each["path"] for each in await js.ask("requests")] == ["/v1/files"]


async def test_wait_polls_until_the_end(js: Client) -> None:
    created = await js.call("predictions.create", {"model": "test/echo", "input": {"text": "hi"}})
    assert created["status"] == "starting"
    ended = await js.ask("wait", prediction=created, interval=20)
    assert (ended["id"], ended["status"], ended["output"]) == (created["id"], "succeeded", "hi")


async def test_what_rings_back_is_valid_in_every_form_that_the_client_takes(
    js: Client, receiver: Receiver
) -> None:
    secret = (await js.call("webhooks.default.secret.get"))["key"]
    given = {
        "input": {"text": 'thé "😀" \u2028', "pause": 0.01},
        "webhook": receiver.url,
        "webhook_events_filter": ["start", "output", "logs", "completed"],
    }
    await run(js, "test/tokens", {}, **given)
    await receiver.until(lambda r: any(item.event == "completed" for item in r.received))
    forms = dict.fromkeys(("fields", "request", "headers", "bytes", "parsed"), True)
    for item in receiver.received:
        asked = {"headers": item.headers, "secret": secret}
        assert await js.ask("validated", body=item.body.decode(), **asked) == forms
        changed = item.body.decode().replace('"status":"', '"status":"x', 1)
        assert await js.ask("validated", body=changed, **asked) == dict.fromkeys(forms, False)


async def test_an_error_is_told_with_the_request_the_status_and_the_servers_words(
    js: Client, server: Server
) -> None:
    with pytest.raises(ClientError) as caught:
        await js.call("predictions.create", {"version": CANARY, "input": {}})
    facts = caught.value.facts
    assert (facts["name"], facts["status"]) == ("ApiError", 422)
    told = f"Request to {server.url}/v1/predictions failed with status 422 Unprocessable Entity: "
    assert facts["message"].startswith(told)
    body = json.loads(facts["message"].removeprefix(told).removesuffix("."))
    assert body == {
        "title": "Input validation failed",
        "detail": "- input: text is required\n",
        "status": 422,
        "invalid_fields": [{"type": "required", "field": "input", "description": "text is required"}],
    }
    assert len(await js.ask("requests")) == 1
