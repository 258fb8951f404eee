"""Deployments: replicas of their own, scaled and moved while predictions run."""

import asyncio

from ringback.work.pace import Scale
from work.pools import DEPLOYED, NAME, OTHER, Yard, state
from work.pools import yard as yard  # a fixture
from work.test_kept_versions import PATIENCE
from work.test_kept_versions import place as place  # a fixture


async def test_a_deployment_has_replicas_of_its_own(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    own = await yard.door.up()
    version = worker.served[0].model.version
    await yard.deploy(version, 1, 2)
    worker.changed()
    deployed = await yard.door.up()
    id_ = await yard.ask(worker, "a", pool=DEPLOYED)
    visit = await yard.door.run()
    assert visit.pid == deployed.pid != own.pid
    visit.let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    found = await state(worker, DEPLOYED)
    assert (found.model, found.running, found.most) == (NAME, 1, 2)


async def test_a_deployment_is_scaled_while_it_runs(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.door.up()
    version = worker.served[0].model.version
    await yard.deploy(version, 2, 2)
    worker.changed()
    ups = [await yard.door.up(), await yard.door.up()]
    await yard.deploy(version, 1, 1)
    worker.changed()
    gone = [asyncio.create_task(up.gone()) for up in ups]
    done, left = await asyncio.wait(gone, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(left)) == (1, 1)
    for task in left:
        task.cancel()
    await yard.deploy(version, 2, 3)
    worker.changed()
    await yard.door.up()
    assert (await state(worker, DEPLOYED)).most == 3


async def test_a_deployment_moved_to_another_version_runs_what_it_has_on_the_old_one(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.door.up()
    version = worker.served[0].model.version
    await yard.deploy(version, 1, 1)
    worker.changed()
    old = await yard.door.up()
    ids = [await yard.ask(worker, text, version, DEPLOYED) for text in ("a", "b")]
    running = await yard.door.run()
    await yard.keep(OTHER, "other")
    await yard.deploy(OTHER, 1, 1)
    worker.changed()
    new = await yard.door.up()
    ids.append(await yard.ask(worker, "c", OTHER, DEPLOYED))
    visit = await yard.door.run()
    assert (visit.text, visit.pid) == ("c", new.pid)
    visit.let_in()
    running.let_in()
    visit = await yard.door.run()
    assert (visit.text, visit.pid) == ("b", old.pid)
    visit.let_in()
    assert await yard.ended(*ids) == [
        ("succeeded", '"one a"'),
        ("succeeded", '"one b"'),
        ("succeeded", '"other c"'),
    ]
    await old.gone()


async def test_what_waits_for_a_deployment_that_is_gone_still_runs(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.door.up()
    id_ = await yard.ask(worker, "a", pool=DEPLOYED)
    up = await yard.door.up()
    (await yard.door.run()).let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    await up.gone()


async def test_a_deployment_with_no_instances_at_most_runs_what_it_was_given(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.deploy(worker.served[0].model.version, 0, 0)
    worker.changed()
    id_ = await yard.ask(worker, "a", pool=DEPLOYED)
    (await yard.door.run()).let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
