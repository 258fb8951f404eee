import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.runner import BOOTSTRAP, command
from ringback.runner.protocol import Cancel, Load, Loaded, LoadFailed, Ready, SetupFailed, Shutdown

Start = Callable[..., Any]


def _failure(child: Any, entry: str = "predict.py:Predictor") -> Any:
    child.send(Load(entry, child.marker))
    message = child.next()
    return child.next() if isinstance(message, Loaded) else message


def test_a_class_is_set_up_once_and_runs_with_what_setup_made(start: Start) -> None:
    child = start(
        "class Predictor:\n"
        "    def setup(self):\n"
        "        self.count = 10\n"
        "        print('set up')\n"
        "    def run(self, step: int) -> int:\n"
        "        self.count += step\n"
        "        return self.count\n"
    )
    child.send(Load("predict.py:Predictor", child.marker))
    assert child.next().schema["components"]["schemas"]["Output"] == {"type": "integer", "title": "Output"}
    assert child.next() == Ready()
    assert child.logs() == "set up\n"
    assert child.run(step=1)[0] == [11]
    assert child.run("p2", step=1)[0] == [12]


def test_the_older_predict_and_an_asynchronous_setup_with_weights_work(load: Start) -> None:
    child = load(
        "class Predictor:\n"
        "    async def setup(self, weights):\n"
        "        self.weights = weights\n"
        "    async def predict(self) -> str:\n"
        "        return repr(self.weights)\n"
    )
    assert child.run()[0] == ["None"]


def test_a_model_imports_its_own_schema_module_and_knows_nothing_of_the_runner(load: Start) -> None:
    child = load(
        "import schema, sys\n"
        "def predict() -> dict:\n"
        "    return {'word': schema.WORD, 'argv': sys.argv, 'first': sys.path[0],\n"
        "            'runner': [each for each in sys.path if each.endswith('runner')]}\n",
        schema_py="WORD = 'mine'\n",
    )
    assert child.run()[0] == [
        {"word": "mine", "argv": ["predict.py"], "first": str(child.folder), "runner": []},
    ]


def test_a_model_named_as_a_module_in_use_does_not_take_its_place(start: Start) -> None:
    child = start("", json_py="import json\ndef go() -> str:\n    return json.dumps([1])\n")
    child.load("json.py:go")
    assert child.run()[0] == ["[1]"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import os\nx = 1\nimport no_such_torch\n", "No module named 'no_such_torch' (predict.py, line 3)"),
        ("def broken(:\n", "SyntaxError: "),
        ("x = 1\n", "predict.py has no 'Predictor'"),
        ("class Predictor: pass\n", "Predictor in predict.py defines neither run() nor predict()"),
        (
            "class Predictor:\n    def run(self): pass\n    def predict(self): pass\n",
            "Predictor in predict.py defines both run() and predict(); keep run()",
        ),
        (
            "class Predictor:\n    def run(self, prompt): pass\n",
            "parameter 'prompt' of run() has no type annotation; write for example prompt: str",
        ),
        (
            "import typing\nclass Predictor:\n    def run(self, a: typing.Literal[b'x', b'y']): pass\n",
            "Object of type bytes is not JSON serializable",
        ),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 (predict.py, line 2)"),
        ("raise ValueError('one\\ntwo')\n", "ValueError: one two (predict.py, line 1)"),
    ],
)
def test_a_model_that_does_not_load_says_why_in_one_line_and_exits(
    start: Start, source: str, error: str
) -> None:
    child = start(source)
    failure = _failure(child)
    assert isinstance(failure, LoadFailed)
    assert error in failure.error
    assert "\n" not in failure.error
    assert child.wait() == 1


def test_a_failed_import_leaves_its_traceback_in_the_logs_from_the_models_frame_on(start: Start) -> None:
    child = start("import helper\n", helper_py="def go():\n    raise KeyError('weights')\ngo()\n")
    assert _failure(child).error == "KeyError: 'weights' (helper.py, line 2)"
    logs = child.logs()
    assert logs.startswith("Traceback (most recent call last):\n")
    assert 'predict.py", line 1' in logs
    assert "ringback" not in logs.replace(str(child.folder), "")
    assert "importlib" not in logs


def test_a_failing_setup_says_why_and_exits(start: Start) -> None:
    child = start(
        "class Predictor:\n"
        "    def setup(self):\n"
        "        print('loading')\n"
        "        raise RuntimeError('no weights')\n"
        "    def run(self) -> str: pass\n"
    )
    assert _failure(child) == SetupFailed("RuntimeError: no weights (predict.py, line 4)")
    logs = child.logs()
    assert logs.startswith("loading\nTraceback")
    assert logs.endswith("RuntimeError: no weights\n")
    assert child.wait() == 1


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ("predict.py", "'predict.py' is not FILE.py:NAME, for example predict.py:Predictor"),
        ("other.py:x", "there is no other.py in the model's folder"),
        ("predict.py:number", "'number' in predict.py is neither a class nor a function"),
    ],
)
def test_a_wrong_entry_is_explained(start: Start, entry: str, error: str) -> None:
    assert _failure(start("number = 1\n"), entry) == LoadFailed(error)


def test_shutdown_when_idle_is_a_clean_exit_that_runs_the_models_exit_handlers(load: Start) -> None:
    child = load("import atexit\natexit.register(print, 'bye')\ndef predict() -> None: pass\n")
    child.send(Shutdown())
    assert child.wait() == 0
    assert child.logs_to_the_end() == "bye\n"  # the guard is still there, and does not hold the pipe


def test_a_cancel_for_nothing_that_runs_is_ignored(load: Start) -> None:
    child = load("def predict() -> str:\n    return 'ok'\n")
    child.send(Cancel("p1"))
    assert child.run("p1")[0] == ["ok"]
    child.send(Cancel("p1"), Cancel("p2"))
    assert child.run("p2")[0] == ["ok"]


def test_the_models_folder_is_all_that_the_children_of_the_model_can_import_from(load: Start) -> None:
    child = load(
        "import multiprocessing\n"
        "def double(n):\n"
        "    return 2 * n\n"
        "def predict() -> list[int]:\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        return pool.map(double, [1, 2])\n"
    )
    assert child.run()[0] == [[2, 4]]


def test_the_command_starts_the_given_python_on_the_runners_own_folder() -> None:
    python, flag, code, folder, control, lifeline = command(sys.executable, 5, 6)
    assert (python, flag, code, control, lifeline) == (sys.executable, "-c", BOOTSTRAP, "5", "6")
    assert (Path(folder) / "main.py").is_file()


def test_a_model_that_needs_cog_in_a_python_without_it_says_what_to_do(start: Start) -> None:
    child = start("from cog import Input\ndef predict() -> str: ...\n")
    assert _failure(child, "predict.py:predict") == LoadFailed(
        "ModuleNotFoundError: No module named 'cog' (predict.py, line 1); install cog in the model's Python:"
        ' python -m venv V && V/bin/pip install cog, then python = "V/bin/python" in the configuration'
    )
