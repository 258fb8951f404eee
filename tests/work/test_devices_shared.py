"""Queues that share devices: none keeps one for ever while another has none."""

import asyncio

import pytest

from ringback.work import pool as pool_module
from ringback.work.devices import Devices, Share
from ringback.work.pace import Scale
from ringback.work.worker import Worker
from work.pools import NEVER_S, Yard
from work.pools import yard as yard  # a fixture
from work.test_kept_versions import place as place  # a fixture

TWO = "test/two"


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica's turn is over with its first prediction."""
    monkeypatch.setattr(pool_module, "TURN_S", 0.0)


async def serving(yard: Yard, first: Scale, second: Scale) -> tuple[Worker, str, str]:
    """Serve two models on one device; give their versions."""
    one, two = yard.served(first), yard.served(second, TWO)
    worker = await yard.serving(one, two, devices={"gpu": ["0"]})
    return worker, one.model.version, two.model.version


def lazy(most: int = 1) -> Scale:
    return Scale(0, most, NEVER_S, "gpu")


async def waits(yard: Yard, worker: Worker) -> None:
    async def does() -> bool:
        return bool(worker._devices._waiting)

    await yard.until(does)


@pytest.mark.usefixtures("turns")
async def test_a_backlog_gives_its_device_to_a_queue_that_has_none_and_gets_it_back(yard: Yard) -> None:
    worker, one, two = await serving(yard, lazy(), lazy())
    backlog = await yard.ask_at_once(worker, "a", "b", "c", version=one)
    running = await yard.door.run()
    other = await yard.ask(worker, "other", two)
    await waits(yard, worker)
    ran = []
    for _ in range(4):
        ran.append(running.text)
        running.let_in()
        if len(ran) < 4:
            running = await yard.door.run()
    assert ran == ["a", "other", "b", "c"]
    assert {status for status, _ in await yard.ended(other, *backlog)} == {"succeeded"}


async def test_a_backlog_goes_on_until_its_turn_is_over(yard: Yard) -> None:
    worker, one, two = await serving(yard, lazy(), lazy())
    ids = await yard.ask_at_once(worker, "a", "b", version=one)
    running = await yard.door.run()
    ids.append(await yard.ask(worker, "other", two))
    await waits(yard, worker)
    for text in ("a", "b", "other"):
        assert running.text == text
        running.let_in()
        if text != "other":
            running = await yard.door.run()
    assert {status for status, _ in await yard.ended(*ids)} == {"succeeded"}


async def test_a_device_that_nobody_works_on_goes_at_once_to_who_waits_for_one(yard: Yard) -> None:
    worker, one, two = await serving(yard, lazy(), lazy())
    first = await yard.ask(worker, "a", one)
    running = await yard.door.run()
    second = await yard.ask(worker, "b", two)
    await waits(yard, worker)
    running.let_in()
    visit = await yard.door.run()
    assert visit.text == "b"
    visit.let_in()
    assert {status for status, _ in await yard.ended(first, second)} == {"succeeded"}


async def test_who_begins_to_wait_while_it_is_idle_gets_it_too(yard: Yard) -> None:
    worker, one, two = await serving(yard, lazy(), lazy())
    first = await yard.ask(worker, "a", one)
    (await yard.door.run()).let_in()
    await yard.ended(first)
    second = await yard.ask(worker, "b", two)
    (await yard.door.run()).let_in()
    assert (await yard.ended(second))[0][0] == "succeeded"


@pytest.mark.usefixtures("turns")
async def test_one_of_the_least_keeps_its_device(yard: Yard) -> None:
    worker, one, two = await serving(yard, Scale(1, 1, NEVER_S, "gpu"), lazy())
    up = await yard.door.up()
    other = await yard.ask(worker, "other", two)
    await waits(yard, worker)
    for text in ("a", "b"):
        id_ = await yard.ask(worker, text, one)
        visit = await yard.door.run()
        assert (visit.text, visit.pid) == (text, up.pid)
        visit.let_in()
        await yard.ended(id_)
    assert await yard.told(other) == ("starting", None)


# Who is first


class Runs:
    """Stands for a replica."""

    def __init__(self) -> None:
        self.device: str | None = None
        self.called = asyncio.Event()

    def wake(self) -> None:
        self.called.set()


async def test_who_has_less_is_before_the_siblings_of_who_gave_up() -> None:
    devices, one, two = Devices({"gpu": ["0"]}), Share(), Share()
    first, sibling, other = Runs(), Runs(), Runs()
    assert devices.equip(first, "gpu", one)
    devices.wait(sibling, "gpu", one)
    devices.wait(other, "gpu", two)
    assert first.called.is_set()
    assert devices.gives_up(first, one, busy=True)
    devices.put_back(first, one)
    assert other.called.is_set()
    assert not devices.equip(sibling, "gpu", one)
    sibling.called.clear()
    devices.wait_no_more(other)  # it was not needed: nobody is kept waiting by it
    assert sibling.called.is_set()
    assert devices.equip(sibling, "gpu", one)


async def test_only_as_many_are_given_up_as_queues_wait() -> None:
    devices, one, two = Devices({"gpu": ["0", "1", "2"]}), Share(), Share()
    holders = [Runs(), Runs(), Runs()]
    assert all(devices.equip(each, "gpu", one) for each in holders)
    for _ in range(3):
        devices.wait(Runs(), "gpu", two)
    assert [devices.gives_up(each, one, busy=True) for each in holders] == [True, False, False]
    devices.put_back(holders[0], one)
    assert devices.equip(next(iter(devices._waiting)), "gpu", two)
    assert [devices.gives_up(each, one, busy=True) for each in holders[1:]] == [
        False,
        False,
    ]  # it has one now
    assert [devices.gives_up(each, one, busy=False) for each in holders[1:]] == [True, True]
    devices.put_back(holders[1], one)
    assert holders[1].device is None


async def test_siblings_take_nothing_from_each_other() -> None:
    devices, one = Devices({"gpu": ["0"]}), Share()
    first, sibling = Runs(), Runs()
    assert devices.equip(first, "gpu", one)
    devices.wait(sibling, "gpu", one)
    assert not devices.gives_up(first, one, busy=False)
