"""Pools of real child processes: how many there are, what they run on, what becomes of a bad setup."""

import asyncio
import logging
import os
import signal

import pytest

from ringback.work.pace import Scale, ahead
from work.pools import NEVER_S, QUICK_S, Yard, state
from work.pools import yard as yard  # a fixture
from work.test_kept_versions import place as place  # a fixture


async def test_what_waits_while_all_are_busy_gets_a_replica_more_up_to_the_most(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(1, 2, NEVER_S)))
    ids = [await yard.ask(worker, text) for text in ("a", "b", "c")]
    first, second = await yard.door.run(), await yard.door.run()
    assert first.pid != second.pid
    found = await state(worker)
    assert (found.running, found.starting, found.most, found.waiting) == (2, 0, 2, 1)
    second.let_in()
    third = await yard.door.run()
    assert third.pid == second.pid
    third.let_in()
    first.let_in()
    assert await yard.ended(*ids) == [("succeeded", f'"one {text}"') for text in ("a", "b", "c")]
    assert yard.door.calls == 2


async def test_a_replica_beyond_the_least_leaves_when_it_has_been_idle(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(1, 2, QUICK_S)))
    ups = [await yard.door.up()]
    ids = [await yard.ask(worker, text) for text in ("a", "b")]
    for visit in [await yard.door.run(), await yard.door.run()]:
        visit.let_in()
    ups.append(await yard.door.up())
    await yard.ended(*ids)
    gone = [asyncio.create_task(up.gone()) for up in ups]
    await asyncio.wait(gone, return_when=asyncio.FIRST_COMPLETED)
    await yard.ask(worker, "c")
    visit = await yard.door.run()
    assert [up.alive for up in ups if up.pid == visit.pid] == [True]
    assert (await state(worker)).running == 1
    assert yard.door.calls == 2
    for task in gone:
        task.cancel()


async def test_the_first_prediction_starts_a_replica_where_there_is_none(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(0, 1, QUICK_S)))
    assert (await state(worker)).running == 0
    yard.door.strict = True
    id_ = await yard.ask(worker, "a")
    up = await yard.door.up()
    assert await yard.told(id_) == ("starting", None)
    found = await state(worker)
    assert (found.running, found.starting, found.waiting) == (0, 1, 1)
    up.let_in()
    (await yard.door.run()).let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    await up.gone()
    yard.door.strict = False
    again = await yard.ask(worker, "b")
    (await yard.door.run()).let_in()
    assert await yard.ended(again) == [("succeeded", '"one b"')]


async def test_nothing_waits_behind_a_run_that_takes_unusually_long_while_a_sibling_is_idle(
    yard: Yard,
) -> None:
    worker = await yard.serving(yard.served(Scale(2, 2, NEVER_S)))
    await yard.set_up(worker, 2)
    for text in ("a", "b", "c", "d"):  # quick ones
        id_ = await yard.ask(worker, text)
        (await yard.door.run()).let_in()
        await yard.ended(id_)
    _, *ids = await yard.ask_at_once(worker, "long", "e", "f", "g")
    long = await yard.door.run()
    assert long.text == "long"
    for _ in ids:
        visit = await yard.door.run()
        assert visit.pid != long.pid
        visit.let_in()
    assert {status for status, _ in await yard.ended(*ids)} == {"succeeded"}


async def test_a_crowd_that_comes_at_once_is_spread_over_as_many_as_there_may_be(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(1, 3, NEVER_S)))
    await yard.door.up()
    ids = await yard.ask_at_once(worker, "a", "b", "c", "d")
    visits = [await yard.door.run() for _ in range(3)]
    assert len({visit.pid for visit in visits}) == 3
    found = await state(worker)
    assert (found.running, found.starting, found.waiting) == (3, 0, 1)
    for visit in visits:
        visit.let_in()
    (await yard.door.run()).let_in()
    assert {status for status, _ in await yard.ended(*ids)} == {"succeeded"}


def test_only_a_replica_without_siblings_holds_more_than_one() -> None:
    assert ahead(0.001) == 50
    assert ahead(0.001, alone=False) == 1


async def test_a_replica_that_died_idle_is_replaced_when_something_waits(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale(2, 2, NEVER_S)))
    ups = [await yard.door.up(), await yard.door.up()]
    await yard.set_up(worker, 2)
    for up in ups:
        os.kill(up.pid, signal.SIGKILL)
        await up.gone()
    ids = [await yard.ask(worker, text) for text in ("a", "b")]
    visits = [await yard.door.run(), await yard.door.run()]
    assert len({visit.pid for visit in visits} - {up.pid for up in ups}) == 2
    for visit in visits:
        visit.let_in()
    assert {status for status, _ in await yard.ended(*ids)} == {"succeeded"}


# When it can't be set up


async def test_a_model_that_can_not_be_set_up_is_tried_by_one_replica_and_what_waits_fails(
    yard: Yard,
) -> None:
    worker = await yard.serving(yard.served(Scale(0, 3, NEVER_S)))
    yard.door.strict = True
    ids = await yard.ask_at_once(worker, "a", "b", "c")
    up = await yard.door.up()
    assert (await state(worker)).starting == 1
    up.refuse()
    ended = await yard.ended(*ids)
    assert {status for status, _ in ended} == {"failed"}
    assert {str(error).partition(":")[0] for _, error in ended} == {"Model setup failed"}
    await up.gone()


async def test_what_waits_is_not_failed_by_one_that_can_not_be_set_up_while_a_sibling_runs(
    yard: Yard,
) -> None:
    worker = await yard.serving(yard.served(Scale(1, 2, NEVER_S)))
    await yard.door.up()
    yard.door.strict = True
    first = await yard.ask(worker, "a")
    running = await yard.door.run()
    second = await yard.ask(worker, "b")
    refused = await yard.door.up()
    refused.refuse()
    await refused.gone()
    running.let_in()
    visit = await yard.door.run()
    assert (visit.text, visit.pid) == ("b", running.pid)
    visit.let_in()
    assert {status for status, _ in await yard.ended(first, second)} == {"succeeded"}
    (pool,) = worker._pools.values()
    assert pool._failures == 1  # a sibling that is well does not shorten the next pause


# Devices


async def test_each_replica_has_a_device_of_its_own_and_one_on_the_cpu_none(yard: Yard) -> None:
    gpu = yard.served(Scale(2, 2, NEVER_S, "gpu"))
    await yard.serving(gpu, yard.served(Scale(), "test/plain"), devices={"gpu": ["0", "1"]})
    ups = [await yard.door.up() for _ in range(3)]
    assert sorted(up.device for up in ups) == ["0", "1", "unset"]


async def test_a_replica_waits_for_a_device_until_another_leaves_it(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scale = Scale(0, 1, QUICK_S, "gpu")
    one, two = yard.served(scale), yard.served(scale, "test/two")
    worker = await yard.serving(one, two, devices={"gpu": ["7"]})
    first = await yard.ask(worker, "a", one.model.version)
    holds = await yard.door.run()
    assert holds.device == "7"
    second = await yard.ask(worker, "b", two.model.version)

    async def waits() -> bool:
        return any(each.starting for each in await worker.state())

    await yard.until(waits)
    assert await yard.told(second) == ("starting", None)
    assert yard.door.runs.empty()
    assert "[test/two] waits for a device of gpu: all are in use" in caplog.text
    holds.let_in()
    visit = await yard.door.run()
    assert (visit.text, visit.device) == ("b", "7")
    visit.let_in()
    assert {status for status, _ in await yard.ended(first, second)} == {"succeeded"}


async def test_a_server_starts_though_there_are_fewer_devices_than_replicas(yard: Yard) -> None:
    scale = Scale(1, 1, NEVER_S, "gpu")
    worker = await yard.serving(yard.served(scale), yard.served(scale, "test/two"), devices={"gpu": ["0"]})
    up = await yard.door.up()
    assert up.device == "0"

    async def one_waits() -> bool:
        return sorted((each.running, each.starting) for each in await worker.state()) == [(0, 1), (1, 0)]

    await yard.until(one_waits)
