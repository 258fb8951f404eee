import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.runner import job
from ringback.runner.protocol import Run

Load = Callable[..., Any]

_FILES = """
from pathlib import Path
from typing import Optional
def predict(image: Path, more: list[Path] = [], mask: Optional[Path] = None) -> dict:
    every = [image, *more] + ([mask] if mask else [])
    return {
        "kinds": [type(each).__mro__[1].__name__ for each in every],
        "names": [each.name for each in every],
        "texts": [each.read_text() for each in every],
        "folder": str(image.parent.parent),
    }
"""


def test_defaults_come_from_the_signature_and_unknown_inputs_are_dropped(load: Load) -> None:
    child = load(
        "from typing import Optional\n"
        "def predict(a: int, b: str = 'x', c: Optional[int] = None, d: Optional[str] = 'y') -> list:\n"
        "    return [a, b, c, d]\n"
    )
    assert child.run(a=1, e=5)[0] == [[1, "x", None, "y"]]
    assert child.run(a=1, b="z", c=2, d=None)[0] == [[1, "z", 2, None]]


def test_an_optional_without_a_default_is_none(load: Load) -> None:
    child = load("from typing import Optional\ndef predict(a: Optional[int]) -> str:\n    return repr(a)\n")
    assert child.run()[0] == ["None"]


def test_a_missing_input_fails_by_name(load: Load) -> None:
    child = load("def predict(prompt: str) -> str:\n    return prompt\n")
    _, _, done = child.run(prompts="typo")
    assert (done.status, done.error) == ("failed", "input 'prompt' is required")


def test_parameters_may_have_any_names(load: Load) -> None:
    child = load(
        "def predict(function: str, job: int, args: str) -> str:\n    return function + args * job\n"
    )
    assert child.run(function="a", job=2, args="b")[0] == ["abb"]


def test_numbers_become_the_annotated_kind(load: Load) -> None:
    child = load(
        "from typing import Optional\n"
        "def predict(a: float, b: Optional[float], c: list[float], d: int, e: bool, f: dict) -> str:\n"
        "    return repr((a, b, c, d, e, f))\n"
    )
    outputs, _, _ = child.run(a=1, b=2, c=[3, 0.5], d=4.0, e=True, f={"g": 1})
    assert outputs == ["(1.0, 2.0, [3.0, 0.5], 4, True, {'g': 1})"]


def test_cogs_input_and_types_are_known_by_their_shape(load: Load) -> None:
    child = load(
        "from cog import Input, Path, Secret\n"
        "def predict(image: Path = Input(description='An image'), n: int = Input(default=3, ge=1),\n"
        "            token: Secret = Input(default=None)) -> str:\n"
        "    return f'{type(image).__module__} {image.read_text()} {n} {token.get_secret_value()}'\n",
        cog_py=(
            "import dataclasses, pathlib\n"
            "class Path(type(pathlib.Path())):\n    pass\n"
            "class Secret:\n"
            "    def __init__(self, value): self.value = value\n"
            "    def get_secret_value(self): return self.value\n"
            "@dataclasses.dataclass(frozen=True)\n"
            "class FieldInfo:\n"
            "    default: object = None\n    description: object = None\n    ge: object = None\n"
            "Input = FieldInfo\n"
        ),
    )
    assert child.run(image="data:,hi", token="s3")[0] == ["cog hi 3 s3"]
    assert child.run("p2", n=1, token="s")[2].error == "input 'image' is required"


def test_received_files_arrive_whole_under_their_names_and_are_gone_afterwards(load: Load) -> None:
    child = load(_FILES)
    child.send_file("p1", 0, "photo.jpg", b"one ", b"and ", b"two")
    child.send_file("p1", 1, "photo.jpg", b"three")
    child.send_file("p1", 2, "", b"")
    files = [{"$ringback_file": number} for number in range(3)]
    [output], _, done = child.run("p1", image=files[0], more=[files[1]], mask=files[2])
    assert output["texts"] == ["one and two", "three", ""]
    assert output["names"] == ["photo.jpg", "photo.jpg", "file"]
    assert done.status == "succeeded"
    assert not Path(output["folder"]).exists()


@pytest.mark.parametrize(
    "name", ["../../../../tmp/evil.png", "/etc/evil.png", "a\\..\\evil.png", "x/evil.png"]
)
def test_a_file_name_cannot_lead_out_of_the_predictions_folder(load: Load, name: str) -> None:
    child = load(_FILES)
    child.send_file("../../p1", 0, name, b"text")
    [output], _, _ = child.run("../../p1", image={"$ringback_file": 0})
    assert output["names"] == ["evil.png"]
    assert ".." not in output["folder"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "file"),
        ("..", "file"),
        ("a/..", "file"),
        ("a\0b\n.png", "ab.png"),
        ("é" * 300 + ".png", "é" * 98 + ".png"),
        ("a." + "b" * 300, "a." + "b" * 19),
        ("a\ud800.png", "a.png"),
    ],
)
def test_names_are_made_harmless(name: str, expected: str) -> None:
    assert job.harmless(name) == expected
    assert len(job.harmless(name).encode()) <= 200


@pytest.mark.parametrize(
    ("uri", "name", "text"),
    [
        ("data:text/plain;base64,aGVsbG8=", "file.txt", "hello"),
        ("data:text/plain;charset=utf-8;base64,aGVs bG8", "file.txt", "hello"),
        ("DATA:image/png;BASE64,aGVsbG8%3D", "file.png", "hello"),
        ("data:,hello%20you", "file.txt", "hello you"),
        ("data:application/x-unheard-of,hello", "file", "hello"),
    ],
)
def test_a_data_uri_becomes_a_file_named_after_its_type(load: Load, uri: str, name: str, text: str) -> None:
    [output], _, _ = load(_FILES).run(image=uri)
    assert (output["names"], output["texts"]) == ([name], [text])
    assert not Path(output["folder"]).exists()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("data:text/plain;base64", "input 'image' is a malformed data: URI: it has no comma"),
        ("data:text/plain;base64,a*b", "input 'image' is a malformed data: URI: "),
        ("/etc/hostname", "input 'image' must be a file: give an http(s) URL or a data: URI"),
        ("file:///etc/hostname", "input 'image' must be a file: give an http(s) URL or a data: URI"),
        ({"$ringback_file": 4}, "input 'image' names file 4, which did not arrive"),
        (
            {"$ringback_file": 0, "more": 1},
            "input 'image' must be a file: give an http(s) URL or a data: URI",
        ),
        (None, "input 'image' must be a file: give an http(s) URL or a data: URI"),
    ],
)
def test_what_is_no_file_is_refused(load: Load, value: Any, error: str) -> None:
    _, _, done = load(_FILES).run(image=value)
    assert done.status == "failed"
    assert done.error.startswith(error)


def test_a_path_within_a_list_is_refused_too(load: Load) -> None:
    _, _, done = load(_FILES).run(image="data:,a", more=["data:,b", "/etc/hostname"])
    assert done.error == "input 'more' must be a file: give an http(s) URL or a data: URI"


def test_files_of_a_prediction_that_never_came_to_run_are_dropped(load: Load) -> None:
    child = load(_FILES)
    child.send_file("given-up", 0, "old.txt", b"old")
    child.send_file("p1", 0, "new.txt", b"new")
    [output], _, _ = child.run("p1", image={"$ringback_file": 0})
    assert output["texts"] == ["new"]
    assert (
        child.run("given-up", image={"$ringback_file": 0})[2].error
        == "input 'image' names file 0, which did not arrive"
    )


def test_a_large_data_uri_arrives_whole(load: Load) -> None:
    child = load("from pathlib import Path\ndef predict(a: Path) -> Path:\n    return a\n")
    content = bytes(range(256)) * 4096 * 4
    child.send(Run("p1", {"a": "data:;base64," + base64.b64encode(content).decode()}))
    assert child.finish()[1] == {0: content}
