"""What a training returns becomes a version, or the training fails with the reason."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ringback.blobs.local import local
from ringback.rules.address import AddressRules
from ringback.runner.protocol import Done, Output, OutputFile
from ringback.store import files as file_rows
from ringback.store import models, predictions, runs, versions
from ringback.store.outbox import Outbox
from ringback.store.predictions import New
from ringback.words import json
from ringback.work.files import FileStore
from ringback.work.host import Host, RunnerError, Weights
from ringback.work.inputs import InputFiles, InputRules
from ringback.work.model import Model
from ringback.work.pace import ReplicaSettings
from ringback.work.run import Desk, PredictionRun
from ringback.work.served import Served
from ringback.work.training import described, merged
from ringback.work.uploads import Sent
from store.no_dispatch import NoDispatch
from store.world import ACCOUNT, LINKS, MODEL, VERSION, World, opened
from support.receiver import receiving, status

FILE = {"$ringback_file": 0}
NO_WEIGHTS = "the training returned no weights: return a Path, or an object with `weights`"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as found:
        await found.database.write(
            lambda tx: versions.register(
                tx, VERSION, MODEL, "predict.py:run", "{}", [], train="train.py:train"
            )
        )
        await found.database.write(lambda tx: models.register(tx, MODEL, "configuration"))
        yield found


@pytest.fixture
async def told() -> list[str]:
    """What was told of versions that trainings have made."""
    return []


@pytest.fixture
async def desk(world: World, tmp_path: Path, told: list[str]) -> AsyncIterator[Desk]:
    blobs = FileStore(tmp_path / "files", os.urandom)
    rules = InputRules(AddressRules(allow_loopback=True), limit=1000)
    inputs = InputFiles(rules, blobs, LINKS, Sent(world.database, local(tmp_path / "uploads")))
    yield Desk(
        Outbox(world.database, NoDispatch(), 500_000, LINKS),
        lambda: world.clock.now,
        blobs,
        inputs,
        tmp_path / "tmp",
        trained=lambda: told.append("a version"),
    )
    await inputs.close()


Ended = tuple[str, str | None, Any]
End = Callable[..., Any]


@pytest.fixture
async def end(world: World, desk: Desk) -> End:
    """Run a training that returns a value after these files; give status, error and output."""

    async def ending(value: Any, *files: bytes, verdict: str = "succeeded") -> Ended:
        new = New(
            world.ids.make(world.now), ACCOUNT, VERSION, MODEL, "{}", None, "training", "train", None, MODEL
        )
        await world.database.write(lambda tx: predictions.create(tx, new))
        (claim,) = await world.database.write(lambda tx: runs.claim(tx, VERSION, "train", "worker_1", 1))
        over: asyncio.Future[PredictionRun] = asyncio.get_running_loop().create_future()
        run = PredictionRun(desk, claim, on_done=over.set_result, on_lost=lambda _id: None)
        run.begin()
        for number, data in enumerate(files):
            run.output_file(OutputFile(run.id, number, f"file {number}.bin", last=True), data)
        run.output(Output(run.id, value, append=False))
        run.done(Done(run.id, "succeeded", None, 0.1))
        await (await over).finish("succeed" if verdict == "succeeded" else "fail", None, 0.1)
        found = await world.database.read(lambda tx: predictions.get(tx, ACCOUNT, run.id))
        assert found is not None
        values = [json.decode(data.encode()) for kind, data in found[1] if kind == "value"]
        return found[0].status, found[0].error, *(values or [None])

    return ending


async def stored(world: World, desk: Desk, version: str) -> tuple[str, bytes]:
    """The name and the bytes of a version's weights, which must have a row: files without one are swept."""
    found = await world.database.read(lambda tx: versions.get(tx, version))
    assert found is not None
    id_, _, name = found.weights.partition("/")
    assert (await world.database.read(lambda tx: file_rows.get(tx, id_))) is not None
    return name, desk.files.path(id_).read_bytes()


async def made(world: World) -> int:
    return len(await world.rows("SELECT 1 FROM versions WHERE id <> $1", VERSION))


async def test_a_file_is_the_weights(world: World, desk: Desk, end: End, told: list[str]) -> None:
    reached, error, output = await end(FILE, b"abc")
    assert (reached, error, sorted(output)) == ("succeeded", None, ["version", "weights"])
    model, _, version = output["version"].partition(":")
    assert model == MODEL
    assert await stored(world, desk, version) == ("file_0.bin", b"abc")
    assert output["weights"].endswith("/file_0.bin")
    assert told == ["a version"]


async def test_the_weights_of_an_object_are_the_weights_and_the_rest_is_kept(
    world: World, desk: Desk, end: End
) -> None:
    value = {"loss": 0.5, "weights": {"$ringback_file": 1}, "version": "mine", "plots": [FILE], "n": None}
    _, _, output = await end(value, b"a plot", b"abc")
    assert output["version"] != "mine"
    assert await stored(world, desk, output["version"].partition(":")[2]) == ("file_1.bin", b"abc")
    assert (output["loss"], output["n"]) == (0.5, None)
    assert output["plots"][0].startswith(LINKS.base + "/f/")
    assert output["plots"][0].endswith("/file_0.bin")


async def test_weights_at_a_url_are_fetched_and_kept(world: World, desk: Desk, end: End) -> None:
    async with receiving() as receiver:
        receiver.answer = lambda _received: web.Response(body=b"from afar")
        _, error, output = await end(receiver.url + "/line.json?key=1")
    assert error is None
    assert output["weights"].startswith(LINKS.base + "/f/")
    assert await stored(world, desk, output["version"].partition(":")[2]) == ("line.json", b"from afar")


async def test_weights_at_a_url_that_has_none_fail_the_training(world: World, end: End) -> None:
    async with receiving() as receiver:
        receiver.answer = status(404)
        reached, error, output = await end({"weights": receiver.url})
    assert (reached, output) == ("failed", None)
    assert error == f"the weights can't be had: input 'weights': {receiver.url} answered 404"
    assert await made(world) == 0


@pytest.mark.parametrize("value", [None, 5, "weights", "data:,x", [FILE], {}, {"weights": None}, {"loss": 1}])
async def test_what_holds_no_weights_fails_the_training(
    world: World, end: End, value: Any, told: list[str]
) -> None:
    assert await end(value, b"abc") == ("failed", NO_WEIGHTS, None)
    assert await made(world) == 0
    assert told == []


async def test_a_training_that_fails_after_it_returned_makes_nothing(world: World, end: End) -> None:
    assert (await end(FILE, b"abc", verdict="failed"))[0] == "failed"
    assert await made(world) == 0


async def test_an_output_of_a_training_is_not_shown_before_its_version(world: World, desk: Desk) -> None:
    new = New(
        world.ids.make(world.now), ACCOUNT, VERSION, MODEL, "{}", None, "training", "train", None, MODEL
    )
    await world.database.write(lambda tx: predictions.create(tx, new))
    (claim,) = await world.database.write(lambda tx: runs.claim(tx, VERSION, "train", "worker_1", 1))
    run = PredictionRun(desk, claim, on_done=lambda _run: None, on_lost=lambda _id: None)
    run.begin()
    run.output_file(OutputFile(run.id, 0, "a.bin", last=True), b"abc")
    run.output(Output(run.id, FILE, append=False))
    run.logs("returned\n")
    assert run._writing is not None
    await run._writing
    assert await world.rows("SELECT kind FROM chunks") == [("logs",)]
    await run.finish("cancel", None, None)


def components(**schemas: Any) -> dict[str, Any]:
    return {"components": {"schemas": schemas}}


def test_a_training_keeps_its_own_meaning_of_a_name_whatever_it_is_used_in() -> None:
    inner, outer = {"type": "string"}, {"items": [{"$ref": "#/components/schemas/Inner"}]}
    document = components(Input={}, Inner=inner, Outer=outer, training_Outer={})
    training = components(TrainingInput=outer, Inner={"type": "integer"}, Outer=outer)
    renamed = {"items": [{"$ref": "#/components/schemas/training_Inner"}]}
    assert merged(document, training) == components(
        Input={},
        Inner=inner,
        Outer=outer,
        training_Outer={},
        TrainingInput=renamed,
        training_Inner={"type": "integer"},
        training_training_Outer=renamed,
    )


async def test_what_trains_a_model_is_described_by_a_process_that_is_gone_then(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "train.py").write_text(
        "import os\n"
        "from pathlib import Path\n"
        "Path('pid').write_text(str(os.getpid()))\n"
        "def train(steps: int) -> Path: ...\n"
    )
    found = await described("python3", folder, "train.py:train", tmp_path / "tmp")
    assert found["components"]["schemas"]["TrainingInput"]["required"] == ["steps"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)
    (folder / "train.py").write_text("import nothing_like_it\n")
    with pytest.raises(RunnerError, match="No module named 'nothing_like_it'"):
        await described("python3", folder, "train.py:train", tmp_path / "tmp")


def weighing(folder: Path) -> Path:
    folder.mkdir()
    (folder / "predict.py").write_text(
        "class Predictor:\n"
        "    def setup(self, weights):\n"
        "        print(weights.name, weights.read_text())\n"
        "    def predict(self) -> str: ...\n"
    )
    return folder


async def test_a_model_finds_its_weights_under_the_name_that_they_were_given(tmp_path: Path) -> None:
    stored_file = tmp_path / "01234"
    stored_file.write_text("heavy")
    said: list[str] = []
    host = Host(
        "python3",
        weighing(tmp_path / "model"),
        "predict.py:Predictor",
        tmp_path / "tmp",
        said.append,
        weights=Weights(stored_file, "made.tar"),
    )
    await host.ready
    host.kill()
    await host.exited
    assert "".join(said) == "made.tar heavy\n"


async def test_a_version_whose_weights_are_gone_says_so(tmp_path: Path) -> None:
    weights = Weights(tmp_path / "nowhere", "made.tar")
    with pytest.raises(RunnerError, match=r"its weights \(made\.tar\) are gone"):
        Host(
            "python3",
            weighing(tmp_path / "model"),
            "predict.py:Predictor",
            tmp_path / "tmp",
            lambda _text: None,
            weights=weights,
        )


def test_a_training_has_a_time_limit_of_its_own(tmp_path: Path) -> None:
    model = Model(MODEL, tmp_path, "predict.py:run", "train.py:train", VERSION, (), tmp_path)
    item = Served(model, "python3", timeout_s=5.0, train_timeout_s=9.0)
    settings = ReplicaSettings("", tmp_path, "")
    assert item.run_in(settings).timeout_s == 5.0
    assert item.run_in(replace(settings, mode="train")).timeout_s == 9.0
