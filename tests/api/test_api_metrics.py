"""GET /metrics: what has happened is counted, what there is is shown, and nobody can make it grow."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from api.asking import ask
from support.receiver import receiving
from support.server import TOKEN, Server, model, serving

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def families(text: bytes) -> Iterable[Metric]:
    return text_string_to_metric_families(text.decode())


async def read(server: Server) -> Figures:
    answer = await ask(server, "GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(answer.body)
        for sample in family.samples
    }


def of(figures: Figures, name: str, **labels: str) -> float:
    return figures[name, tuple(sorted(labels.items()))]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    config = tmp_path / "ringback.toml"
    config.write_text("[webhooks]\nretry_base_s = 0.05\n")
    async with serving(model("test/echo", "echo"), "--config", str(config), data=tmp_path / "data") as found:
        yield found


async def test_predictions_attempts_and_deliveries_are_counted(server: Server) -> None:
    before = await read(server)
    assert of(before, "ringback_predictions_total", model="test/echo", status="starting") == 0
    assert of(before, "ringback_attempts_total", cause="acknowledged") == 0
    async with receiving() as receiver:
        receiver.answer = lambda item: web.Response(status=422 if item.attempt == 1 else 200)
        created = await server.create(
            "test/echo", {"text": "hi"}, webhook=receiver.url, webhook_events_filter=["completed"]
        )
        await receiver.until(lambda it: len(it.acknowledged) == 1)
        await server.ended(created["id"])
        after = await read(server)  # an attempt is counted before its slot is free
        while of(after, "ringback_attempts_in_flight"):
            after = await read(server)
    assert of(after, "ringback_predictions_total", model="test/echo", status="starting") == 1
    assert of(after, "ringback_predictions_total", model="test/echo", status="succeeded") == 1
    assert of(after, "ringback_attempts_total", cause="status") == 1
    assert of(after, "ringback_attempts_total", cause="acknowledged") == 1
    assert of(after, "ringback_deliveries_total", event="completed", outcome="delivered") == 1
    assert of(after, "ringback_attempt_seconds_count", outcome="acknowledged") == 1
    assert of(after, "ringback_attempt_seconds_count", outcome="failed") == 1
    assert of(after, "ringback_completion_acknowledged_seconds_count") == 1
    assert of(after, "ringback_completion_acknowledged_seconds_sum") >= 0.045  # the retry's wait
    assert of(after, "ringback_store_refusals_total") == 0
    assert of(after, "ringback_queue_depth", model="test/echo") == 0
    assert of(after, "process_resident_memory_bytes") > 0


async def test_no_client_adds_a_label_or_shows_up_in_one(server: Server) -> None:
    before = await read(server)
    async with receiving() as receiver:
        receiver.answer = lambda item: web.Response(status=422)
        for number in range(5):
            await server.create(
                "test/echo", {"text": "hi"}, webhook=f"{receiver.url}/job-{number}?secret=s{number}"
            )
            await ask(server, "POST", "/predictions", {"version": f"test/invented-{number}", "input": {}})
            await ask(server, "GET", f"/invented-{number}")
        await receiver.until(lambda it: len({item.path for item in it.received}) == 5)
        answer = await ask(server, "GET", "/metrics")
    after = await read(server)
    assert {key for key in after if "_bucket" not in key[0]} == {
        key for key in before if "_bucket" not in key[0]
    }
    assert len(after) == len(before)
    for word in (b"job-", b"secret", b"invented", receiver.url.encode(), TOKEN.encode()):
        assert word not in answer.body


async def test_an_openmetrics_scraper_gets_openmetrics(server: Server) -> None:
    kind = "application/openmetrics-text; version=1.0.0"
    answer = await ask(server, "GET", "/metrics", headers={"accept": kind})
    assert answer.headers["content-type"].startswith(kind)
    assert answer.body.endswith(b"# EOF\n")


async def test_without_a_token_nothing_is_told(server: Server) -> None:
    answer = await ask(server, "GET", "/metrics", token=None)
    assert answer.status == 401
    assert "ringback_" not in str(answer.problem)


@pytest.mark.parametrize(("access", "code"), [("open", 200), ("off", 404)])
async def test_a_setting_opens_it_to_all_or_switches_it_off(tmp_path: Path, access: str, code: int) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text(f'[server]\nmetrics = "{access}"\n')
    async with serving("--config", str(config), data=tmp_path / "data") as server:
        assert (await ask(server, "GET", "/metrics", token=None)).status == code
        assert (await ask(server, "GET", "/metrics")).status == code
