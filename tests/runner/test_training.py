"""The child in mode `train`, and a predictor that works with what a training made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.runner.protocol import Load, Loaded, LoadFailed, Ready, SetupFailed

Start = Callable[..., Any]

TRAINER = (
    "from pathlib import Path\n"
    "def train(data: Path, steps: int = 3) -> Path:\n"
    "    print('steps:', steps)\n"
    "    Path('weights.txt').write_text(data.read_text() * steps)\n"
    "    return Path('weights.txt')\n"
)


def _train(child: Any, entry: str = "train.py:train") -> dict[str, Any]:
    child.send(Load(entry, child.marker, "train"))
    loaded, ready = child.next(), child.next()
    assert isinstance(loaded, Loaded), loaded
    assert ready == Ready()
    child.logs()
    schemas: dict[str, Any] = loaded.schema["components"]["schemas"]
    return schemas


def _refusal(child: Any, entry: str = "train.py:train") -> str:
    child.send(Load(entry, child.marker, "train"))
    failed = child.next()
    assert isinstance(failed, LoadFailed), failed
    return failed.error


def test_a_function_that_trains_is_described_and_run(start: Start) -> None:
    child = start("", train_py=TRAINER)
    schemas = _train(child)
    assert sorted(schemas) == ["TrainingInput", "TrainingOutput"]
    assert schemas["TrainingInput"]["required"] == ["data"]
    child.send_file("t1", 0, "data.txt", b"ab")
    outputs, files, done = child.run("t1", data={"$ringback_file": 0}, steps=2)
    assert (outputs, files, done.status) == ([{"$ringback_file": 0}], {0: b"abab"}, "succeeded")
    assert child.logs() == "steps: 2\n"


def test_a_class_that_trains_is_set_up_once(start: Start) -> None:
    child = start(
        "",
        train_py=(
            "import io\n"
            "class Trainer:\n"
            "    def setup(self):\n"
            "        self.base = 'base '\n"
            "    def train(self, text: str):\n"
            "        return {'weights': io.StringIO(self.base + text), 'loss': 0.5}\n"
        ),
    )
    assert _train(child, "train.py:Trainer")["TrainingOutput"] == {"title": "TrainingOutput"}
    outputs, files, _ = child.run("t1", text="one")
    assert (outputs, files) == ([{"weights": {"$ringback_file": 0}, "loss": 0.5}], {0: b"base one"})
    assert child.run("t2", text="two")[1] == {0: b"base two"}


def test_a_class_without_train_can_not_train(start: Start) -> None:
    child = start("", train_py="class Trainer:\n    def run(self) -> str: ...\n")
    assert _refusal(child, "train.py:Trainer") == "Trainer in train.py does not define train()"


@pytest.mark.parametrize(
    "source",
    [
        "def train() -> int: ...",
        "def train() -> bool: ...",
        "def train() -> list[str]: ...",
        "def train():\n    yield 'a'",
        "import dataclasses\n@dataclasses.dataclass\nclass Made:\n    loss: float\ndef train() -> Made: ...",
    ],
)
def test_what_can_return_no_weights_is_refused_before_hours_go_into_it(start: Start, source: str) -> None:
    assert _refusal(start("", train_py=source)) == (
        "'train' in train.py returns no weights: a training returns a Path, or an object with `weights`"
    )


PREDICTOR = (
    "import io, pathlib\n"
    "from pathlib import Path\n"
    "from typing import Optional, Union\n"
    "class Predictor:\n"
    "    def setup(self{weights}):\n"
    "        self.made = weights.read().decode() if isinstance(weights, io.IOBase) else repr(weights)\n"
    "    def predict(self) -> str:\n"
    "        return self.made\n"
)


@pytest.mark.parametrize(
    ("parameter", "made"),
    [
        (", weights: Path", "PosixPath('{path}')"),
        (", weights: Optional[Path] = None", "PosixPath('{path}')"),
        (", weights: 'Optional[Path]' = None", "PosixPath('{path}')"),
        (", weights: Union[io.IOBase, Path, None] = None", "PosixPath('{path}')"),
        (", weights=None", "PosixPath('{path}')"),
        (", weights: str", "'{path}'"),
        (", weights: io.IOBase", "trained"),
    ],
)
def test_a_setup_that_takes_weights_is_given_those_of_the_training(
    load: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameter: str, made: str
) -> None:
    path = tmp_path / "made.bin"
    path.write_text("trained")
    monkeypatch.setenv("COG_WEIGHTS", str(path))
    child = load(PREDICTOR.replace("{weights}", parameter))
    assert child.run()[0] == [made.format(path=path)]


def test_a_setup_that_takes_no_weights_is_given_none_and_finds_them_in_its_environment(
    load: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_WEIGHTS", "/made.bin")
    child = load(
        "import os\n"
        "class Predictor:\n"
        "    def setup(self):\n"
        "        self.weights = os.environ['COG_WEIGHTS']\n"
        "    def predict(self) -> str:\n"
        "        return self.weights\n"
    )
    assert child.run()[0] == ["/made.bin"]


def test_weights_that_lie_in_the_models_folder_are_given_as_cog_gives_them(load: Start) -> None:
    child = load(PREDICTOR.replace("{weights}", ", weights: Path"), weights="in the folder")
    assert child.run()[0] == ["PosixPath('weights')"]


def test_weights_that_are_a_url_are_refused_where_a_file_is_wanted(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_WEIGHTS", "https://example.com/weights.tar")
    child = start(PREDICTOR.replace("{weights}", ", weights: Path"))
    child.send(Load("predict.py:Predictor", child.marker))
    assert isinstance(child.next(), Loaded)
    failed = child.next()
    assert isinstance(failed, SetupFailed)
    assert failed.error.startswith("COG_WEIGHTS is a URL")
