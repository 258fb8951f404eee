"""Models that come and go, or change, while predictions run."""

import sys

import pytest

from ringback.store import versions
from ringback.words.errors import SetupError
from ringback.work.model import read_model
from ringback.work.pace import Scale
from ringback.work.served import Served
from work.pools import NAME, OTHER, Yard
from work.pools import yard as yard  # a fixture
from work.test_kept_versions import place as place  # a fixture


async def test_a_reload_loses_and_fails_nothing(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    old_version = worker.served[0].model.version
    old = await yard.door.up()
    ids = [await yard.ask(worker, text) for text in ("a", "b")]
    running = await yard.door.run()
    yard.folder(says="two")
    new_version = await worker.reload(NAME)
    assert new_version != old_version
    ids.append(await yard.ask(worker, "c", new_version))
    ids.append(await yard.ask(worker, "d", old_version))  # asked for by its id, or resolved just before
    visit = await yard.door.run()
    assert visit.text == "c"
    visit.let_in()
    running.let_in()
    for text in ("b", "d"):
        visit = await yard.door.run()
        assert (visit.text, visit.pid) == (text, old.pid)
        visit.let_in()
    assert await yard.ended(*ids) == [
        ("succeeded", '"one a"'),
        ("succeeded", '"one b"'),
        ("succeeded", '"two c"'),
        ("succeeded", '"one d"'),
    ]
    await old.gone()
    latest = await yard.place.database.read(lambda tx: versions.latest(tx, NAME))
    assert latest is not None
    assert latest.id == new_version


async def test_a_reload_of_what_has_not_changed_changes_nothing(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    up = await yard.door.up()
    assert await worker.reload(NAME) == worker.served[0].model.version
    assert up.alive
    assert yard.door.calls == 1


async def test_a_reload_back_to_a_former_version_serves_that_again(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    former = worker.served[0].model.version
    yard.folder(says="two")
    assert await worker.reload(NAME) != former
    yard.folder(says="one")
    assert await worker.reload(NAME) == former
    id_ = await yard.ask(worker, "a", former)
    (await yard.door.run()).let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    assert [each.running for each in await worker.state() if each.version == former] == [1]


async def test_a_reload_of_a_version_with_a_given_id_takes_the_new_files(yard: Yard) -> None:
    item = yard.served(Scale())
    model = read_model(NAME, item.model.folder, OTHER, yard.place.folder / "data")
    worker = await yard.serving(Served(model, sys.executable, pinned=OTHER))
    old = await yard.door.up()
    first = await yard.ask(worker, "a", OTHER)
    running = await yard.door.run()
    yard.folder(says="two")
    assert await worker.reload(NAME) == OTHER
    second = await yard.ask(worker, "b", OTHER)
    visit = await yard.door.run()
    assert visit.pid != old.pid
    visit.let_in()
    running.let_in()
    assert await yard.ended(first, second) == [("succeeded", '"one a"'), ("succeeded", '"two b"')]
    await old.gone()


@pytest.mark.parametrize("broken", ["import", "setup"])
async def test_a_reload_that_fails_leaves_the_former_version_in_service(yard: Yard, broken: str) -> None:
    worker = await yard.serving(yard.served(Scale()))
    version = worker.served[0].model.version
    up = await yard.door.up()
    if broken == "import":
        (yard.folder() / "predict.py").write_text("import no_such_module\n")
    else:
        (yard.folder() / "predict.py").write_text(
            "class Run:\n  def setup(self): raise OSError('no GPU')\n  def run(self) -> str: return ''\n"
        )
    with pytest.raises(SetupError, match="no_such_module" if broken == "import" else "no GPU") as caught:
        await worker.reload(NAME)
    assert "\n" not in str(caught.value)
    id_ = await yard.ask(worker, "a")
    visit = await yard.door.run()
    assert visit.pid == up.pid
    visit.let_in()
    assert await yard.ended(id_) == [("succeeded", '"one a"')]
    assert [item.model.version for item in worker.served] == [version]
    assert len(await worker.state()) == 1


async def test_a_model_is_added_and_taken_away_while_others_run(yard: Yard) -> None:
    worker = await yard.serving(yard.served(Scale()))
    await yard.door.up()
    added = yard.served(Scale(), "test/added")
    await worker.add(added)
    up = await yard.door.up()
    with pytest.raises(SetupError, match="served already"):
        await worker.add(added)
    version = added.model.version
    ids = [await yard.ask(worker, text, version) for text in ("a", "b")]
    running = await yard.door.run()
    await worker.remove("test/added")
    assert [item.model.name for item in worker.served] == [NAME]
    running.let_in()
    (await yard.door.run()).let_in()
    assert {status for status, _ in await yard.ended(*ids)} == {"succeeded"}
    await up.gone()
    with pytest.raises(SetupError, match="no model test/added is served"):
        await worker.remove("test/added")


async def test_a_model_that_can_not_be_imported_is_not_added(yard: Yard) -> None:
    worker = await yard.serving()
    folder = yard.folder()
    (folder / "predict.py").write_text("import no_such_module\nclass Run: pass\n")
    item = Served(read_model(NAME, folder, None, yard.place.folder / "data"), sys.executable)
    with pytest.raises(SetupError, match="no_such_module"):
        await worker.add(item)
    assert worker.served == ()
    assert await worker.state() == []
