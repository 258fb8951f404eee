"""Relative paths of a model's settings: what they are relative to, wherever the server was started."""

import sys
from pathlib import Path

import pytest

from commands.running import run
from ringback.assembly.config import read_config
from support.server import serving

CONFIG = """
[models."test/own"]
dir = "own"
python = "env/bin/python"
[models."test/usual"]
dir = "own"
python = "python3"
"""


def folder(here: Path) -> Path:
    """Make a model and an interpreter in a folder; give the model's."""
    made = here / "own"
    made.mkdir()
    (made / "cog.yaml").write_text("run: predict.py:run\n")
    (made / "predict.py").write_text("import sys\ndef run() -> str:\n    return sys.executable\n")
    (here / "env/bin").mkdir(parents=True)
    (here / "env/bin/python").symlink_to(sys.executable)
    return made


def test_paths_of_a_configuration_that_is_named_relatively_are_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ringback.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    found = read_config(Path("ringback.toml")).models
    own = found["test/own"]
    assert (own.dir, own.python) == (str(tmp_path / "own"), str(tmp_path / "env/bin/python"))
    assert found["test/usual"].python == "python3"


async def test_paths_of_an_added_model_are_relative_to_where_the_command_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    folder(tmp_path)
    async with serving(data=data) as server:
        monkeypatch.chdir(tmp_path)
        ran = await run("models", "add", "test/own=own", "--set", "python=env/bin/python", data=data)
        assert (ran.code, ran.err) == (0, "")
        ended = await server.ended((await server.create("test/own", {}))["id"])
        assert ended["output"] == str(tmp_path / "env/bin/python")
