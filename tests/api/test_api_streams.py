"""Streams: everything from the beginning, at once, in order; or from where one left off."""

import asyncio
from pathlib import Path

import pytest

from api.asking import UNKNOWN_ID, ask
from api.gate import Sent, gated, streaming
from support.rows import rows
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


def pairs(events: list[Sent]) -> list[tuple[str, str]]:
    return [(event.event, event.data) for event in events]


async def test_each_output_comes_as_soon_as_it_is_yielded_and_done_ends_it(
    server: Server, tmp_path: Path
) -> None:
    async with (
        gated(server, tmp_path) as gate,
        streaming(server, gate.prediction["urls"]["stream"]) as stream,
    ):
        assert stream.answer.status == 200
        assert stream.answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert stream.answer.headers["cache-control"] == "no-store"
        for word in ("Once", "upon", "a time"):
            gate.say(word)
            event = await stream.next()  # the model has not ended: it waits for its next line
            assert event is not None
            assert (event.event, event.data) == ("output", word)
            assert event.id
        gate.finish()
        assert pairs(await stream.rest()) == [("done", "{}")]
        assert stream.comments == ["hi"]  # none that says that nothing came for 10 s: it was told of each


async def test_a_late_one_hears_everything_from_the_beginning(server: Server, tmp_path: Path) -> None:
    async with gated(server, tmp_path) as gate:
        gate.say("one", "print so far", "two", "three")
        gate.finish()
        await server.ended(gate.id)
        async with streaming(server, gate.prediction["urls"]["stream"]) as stream:
            heard = pairs(await stream.rest())
    assert [data for event, data in heard if event == "output"] == ["one", "two", "three"]
    assert "".join(data for event, data in heard if event == "logs") == "so far\n"
    assert heard[-1] == ("done", "{}")


async def test_last_event_id_goes_on_after_that_event_wherever_it_was(server: Server, tmp_path: Path) -> None:
    async with gated(server, tmp_path) as gate:
        gate.say("one", "two", "print a line", "three", "four", "five")
        gate.finish()
        await server.ended(gate.id)
        url = gate.prediction["urls"]["stream"]
        async with streaming(server, url) as stream:
            whole = await stream.rest()
        for place, event in enumerate(whole[:-1]):
            async with streaming(server, url, **{"last-event-id": event.id}) as stream:
                assert await stream.rest() == whole[place + 1 :]


async def test_an_id_that_is_none_of_ours_is_as_if_there_were_none(server: Server, tmp_path: Path) -> None:
    async with gated(server, tmp_path) as gate:
        gate.say("one")
        gate.finish()
        await server.ended(gate.id)
        for text in ("x", "9-9:9", "1690212292:0", "-1-1:1", "1-1:99999999999999999999"):
            async with streaming(
                server, gate.prediction["urls"]["stream"], **{"last-event-id": text}
            ) as stream:
                assert pairs(await stream.rest()) == [("output", "one"), ("done", "{}")]


async def test_line_breaks_and_empty_texts_arrive(server: Server, tmp_path: Path) -> None:
    async with (
        gated(server, tmp_path) as gate,
        streaming(server, gate.prediction["urls"]["stream"]) as stream,
    ):
        gate.say(r"two\nlines", r"\n", r" leading and trailing ", r"windows\r\nline", r"", "last")
        gate.finish()
        heard = [data for event, data in pairs(await stream.rest()) if event == "output"]
    assert heard == ["two\nlines", "\n", " leading and trailing ", "windows\nline", "", "last"]


async def test_a_failure_is_an_error_and_then_done(server: Server, tmp_path: Path) -> None:
    async with (
        gated(server, tmp_path) as gate,
        streaming(server, gate.prediction["urls"]["stream"]) as stream,
    ):
        gate.say("one", "raise no such luck")
        heard = [pair for pair in pairs(await stream.rest()) if pair[0] != "logs"]
    assert heard == [
        ("output", "one"),
        ("error", '{"detail":"no such luck"}'),
        ("done", '{"reason":"error"}'),
    ]


async def test_a_cancel_ends_it(server: Server, tmp_path: Path) -> None:
    async with (
        gated(server, tmp_path) as gate,
        streaming(server, gate.prediction["urls"]["stream"]) as stream,
    ):
        gate.say("one")
        assert (await stream.next()) is not None
        await ask(server, "POST", f"/v1/predictions/{gate.id}/cancel")
        assert pairs(await stream.rest()) == [("done", '{"reason":"canceled"}')]


async def test_a_single_value_is_one_output_and_a_list_one_for_each(server: Server) -> None:
    created = await server.create("test/echo", {"text": "hi"})
    await server.ended(created["id"])
    async with streaming(server, created["urls"]["stream"]) as stream:
        heard = pairs(await stream.rest())
    assert [event for event, _ in heard] == ["output", "done"]


async def test_what_is_too_much_to_be_read_at_a_time_arrives_whole_and_in_order(
    server: Server, tmp_path: Path
) -> None:
    lines = [letter * 400_000 for letter in "abcdefg"]
    async with gated(server, tmp_path) as gate:
        await asyncio.to_thread(gate.say, *lines)
        gate.finish()
        await server.ended(gate.id)
        async with streaming(server, gate.prediction["urls"]["stream"]) as stream:
            assert pairs(await stream.rest()) == [*(("output", line) for line in lines), ("done", "{}")]


async def test_a_wrong_key_an_unknown_prediction_and_no_key_are_not_found(server: Server) -> None:
    created = await server.create("test/echo", {"text": "hi"})
    key = created["urls"]["stream"].rpartition("/")[2]
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    for path in (
        f"{created['id']}/{wrong}",
        f"{created['id']}/",
        f"{created['id']}",
        f"{UNKNOWN_ID}/{key}",
        f"{created['id']}/%C3%A4",
        f"x/{key}",
    ):
        assert (await ask(server, "GET", f"/v1/stream/{path}", token=None)).status == 404


async def test_the_urls_path_is_not_one_of_files_and_is_the_same_in_each_answer(server: Server) -> None:
    created = await server.create("test/echo", {"text": "hi"})
    path = created["urls"]["stream"].removeprefix(server.url)
    assert not path.startswith("/v1/files")
    assert (await server.ended(created["id"]))["urls"]["stream"] == created["urls"]["stream"]


async def test_what_was_streamed_is_marked_so_that_it_is_not_begun_anew(
    server: Server, tmp_path: Path, database: Path
) -> None:
    async with gated(server, tmp_path) as gate:
        gate.say("one")
        await server.reached(gate.id, "processing")
        assert rows(database, "SELECT streamed FROM predictions WHERE id = ?", gate.id) == [(0,)]
        async with streaming(server, gate.prediction["urls"]["stream"]) as stream:
            assert (await stream.next()) is not None
            assert rows(database, "SELECT streamed FROM predictions WHERE id = ?", gate.id) == [(1,)]
        gate.finish()
