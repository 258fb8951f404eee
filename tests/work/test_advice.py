"""A default of None that does not make an input optional is told in the server's log."""

from pathlib import Path
from typing import Any

import pytest

from commands.running import run
from ringback.work.advice import advice
from ringback.work.model import Model, read_model
from support.server import serving

COG = """
class FieldInfo:  # as recent versions of cog have it
    def __init__(self, default=None):
        self.default = default
FieldInfo.__module__ = "cog.input"
def Input(default=None):
    return FieldInfo(default)
"""
LINE = "parameter 'image' has default None but no `| None`: it is required; write `Path | None`"


def written(folder: Path, source: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "cog.yaml").write_text("run: predict.py:run\ntrain: predict.py:train\n")
    (folder / "predict.py").write_text(source)
    return folder


def found(folder: Path, source: str, *required: str, component: str = "Input") -> list[str]:
    model: Model = read_model("test/model", written(folder, source), None, folder / "data")
    document: dict[str, Any] = {"components": {"schemas": {component: {"required": list(required)}}}}
    return advice(model, document)


@pytest.mark.parametrize(
    "source",
    [
        "def run(image: Path = Input(default=None)): ...",
        "def run(x: int, image: Path = Input(None, description='x')): ...",
        "async def run(x: int = 1, *, image: Path = cog.Input(default=None)): ...",
    ],
)
def test_a_required_input_with_a_default_of_none_is_named_with_what_to_write(
    tmp_path: Path, source: str
) -> None:
    assert found(tmp_path / "model", source, "image", "x") == [LINE]


def test_methods_and_trainings_are_looked_at_too(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    source = "class run:\n    def predict(self, image: Path = Input(default=None)): ...\n"
    assert found(folder, source, "image") == [LINE]
    source = "def run(): ...\ndef train(image: Path = Input(default=None)): ...\n"
    assert found(folder, source, "image", component="TrainingInput") == [LINE]


@pytest.mark.parametrize(
    ("source", "required"),
    [
        ("def run(image: Path | None = Input(default=None)): ...", []),
        ("def run(image: Path = Input(description='x')): ...", ["image"]),
        ("def run(image: Path = Input(default=5)): ...", ["image"]),
        ("def other(image: Path = Input(default=None)): ...", ["image"]),
        ("def run(image: Path = Input(default=None): ...", ["image"]),  # not Python
    ],
)
def test_nothing_is_said_where_nothing_is_wrong_or_nothing_is_known(
    tmp_path: Path, source: str, required: list[str]
) -> None:
    assert found(tmp_path / "model", source, *required) == []


async def test_it_stands_in_the_log_of_a_server_that_adds_or_reloads_the_model(tmp_path: Path) -> None:
    good = f"from pathlib import Path\n{COG}\ndef train() -> Path: ...\ndef run(image: Path"
    folder = written(tmp_path / "model", good + " | None = Input(default=None)) -> str: ...\n")
    data = tmp_path / "data"
    async with serving(data=data) as server:
        assert (await run("models", "add", f"test/model={folder}", data=data)).code == 0
        assert "default None" not in server.log()
        written(folder, good + " = Input(default=None)) -> str: ...\n")
        assert (await run("models", "reload", "test/model", data=data)).code == 0
        assert f"WARNING [test/model] {LINE}" in server.log()
        _, shown = await server.call("GET", "/v1/models/test/model")
        schemas = shown["latest_version"]["openapi_schema"]["components"]["schemas"]
        assert schemas["Input"]["required"] == ["image"]
