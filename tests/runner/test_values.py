"""What a model may return, and what arrives of it."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from ringback.runner.protocol import MAX_HEADER, PIECE, Decoder, Done, OutputFile, Run

_MODEL = """
import collections, dataclasses, datetime, decimal, enum, io, math, pathlib, types
class Color(enum.Enum):
    RED = "red"
class Level(enum.IntEnum):
    HIGH = 3
class Name(str): pass
class Number(float): pass
@dataclasses.dataclass
class Box:
    size: int
    color: Color
class Array:
    def __init__(self, items): self.items = items
    def tolist(self): return self.items
    def item(self): raise TypeError("only for one element")
class Scalar:
    def item(self): return 7
class Record:
    def model_dump(self): return {"color": Color.RED}
class Pathlike:
    def __fspath__(self): return "out.txt"
def itself():
    a = []
    a.append(a)
    return a
def deep():
    a = 1
    for _ in range(100000):
        a = [a]
    return a
def predict(code: str) -> "typing.Any":
    return eval(code)
import typing
"""


@pytest.fixture(scope="module")
def child(shared: Callable[..., Any]) -> Any:
    child = shared(_MODEL)
    (child.folder / "out.txt").write_text("from the folder")
    return child


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("'text'", "text"),
        ("'é\\n\\0'", "é\n\0"),
        ("'\\ud800!'", "\ufffd!"),
        ("7", 7),
        ("10 ** 30", 10**30),
        ("1.5", 1.5),
        ("True", True),
        ("None", None),
        ("[1, 'a', None]", [1, "a", None]),
        ("(1, (2,))", [1, [2]]),
        ("{5}", [5]),
        ("frozenset()", []),
        ("{'a': {'b': (1,)}}", {"a": {"b": [1]}}),
        (
            "{1: 'a', True: 'b', None: 'c', 2.5: 'd', Color.RED: 'e'}",
            {"1": "b", "null": "c", "2.5": "d", "red": "e"},
        ),
        ("types.MappingProxyType({'a': 1})", {"a": 1}),
        ("collections.OrderedDict(a=1)", {"a": 1}),
        ("collections.namedtuple('P', 'x y')(1, 2)", [1, 2]),
        ("Color.RED", "red"),
        ("Level.HIGH", 3),
        ("Name('sub')", "sub"),
        ("Number(2.5)", 2.5),
        ("Box(3, Color.RED)", {"size": 3, "color": "red"}),
        ("Array([[1, 2], [3, Color.RED]])", [[1, 2], [3, "red"]]),
        ("Scalar()", 7),
        ("[Record()]", [{"color": "red"}]),
        ("datetime.date(2026, 1, 2)", "2026-01-02"),
    ],
)
def test_a_value_arrives_as_json(child: Any, code: str, value: Any) -> None:
    outputs, _, done = child.run(code=code)
    assert (outputs, done.status, done.error) == ([value], "succeeded", None)
    assert [type(each) for each in outputs] == [type(value)]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("[math.nan]", "output contains NaN, which JSON can't carry"),
        ("{'a': -math.inf}", "output contains -Infinity, which JSON can't carry"),
        ("Array([Number('nan')])", "output contains NaN, which JSON can't carry"),
        ("b'raw'", "output of type bytes is not JSON; return plain values or a Path"),
        ("Box", "output of type type is not JSON; return plain values or a Path"),
        ("{(1, 2): 3}", "output has a dict key of type tuple; JSON's keys are strings"),
        ("{'$ringback_file': 0}", "output uses the reserved key $ringback_file"),
        ("itself()", "output is nested too deeply, or contains itself"),
        ("deep()", "output is nested too deeply, or contains itself"),
        ("pathlib.Path('/no/such/file.png')", "output file /no/such/file.png does not exist"),
        ("[pathlib.Path('/')]", "output / is a directory; return a file (an archive of it, say)"),
        ("pathlib.Path('/dev/null')", "output /dev/null is not a regular file"),
        ("pathlib.Path('out.txt/x')", "output file out.txt/x can't be read: Not a directory"),
    ],
)
def test_a_value_that_cannot_be_sent_fails_with_the_reason(child: Any, code: str, error: str) -> None:
    outputs, _, done = child.run(code=code)
    assert (outputs, done.status, done.error) == ([], "failed", error)


def test_a_value_over_the_limit_fails_with_its_size_and_the_way_out(child: Any) -> None:
    _, _, done = child.run(code=f"'x' * {MAX_HEADER}")
    assert done.status == "failed"
    assert done.error is not None
    assert done.error.startswith("output of 167772")
    assert done.error.endswith(f"is over the limit of {MAX_HEADER} bytes; return a Path instead")


def test_a_value_just_under_the_limit_arrives(child: Any) -> None:
    outputs, _, done = child.run(code=f"'x' * ({MAX_HEADER} - 100)")
    assert done.status == "succeeded"
    assert outputs == ["x" * (MAX_HEADER - 100)]


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_file_arrives_in_pieces_whatever_its_size(child: Any, size: int) -> None:
    content = bytes(each % 251 for each in range(size))
    (child.folder / "picture.png").write_bytes(content)
    outputs, files, done = child.run(code="{'image': pathlib.Path('picture.png')}")
    assert outputs == [{"image": {"$ringback_file": 0}}]
    assert files == {0: content}
    assert done.status == "succeeded"


def test_files_of_one_prediction_are_numbered_and_keep_their_names(child: Any) -> None:
    code = "[pathlib.Path('out.txt'), Pathlike(), open('out.txt'), open('out.txt', 'rb'), io.StringIO('é')]"
    child.send(Run("p1", {"code": code}))
    pieces = [child.receive() for _ in range(5)]
    assert [(each.file, each.name, each.last) for each, _ in pieces if isinstance(each, OutputFile)] == [
        (0, "out.txt", True),
        (1, "out.txt", True),
        (2, "out.txt", True),
        (3, "out.txt", True),
        (4, "output", True),
    ]
    assert [payload for _, payload in pieces] == [b"from the folder"] * 4 + ["é".encode()]
    assert child.next().value == [{"$ringback_file": number} for number in range(5)]
    assert isinstance(child.next(), Done)
    assert (child.folder / "out.txt").exists()


def test_an_output_and_its_done_come_in_one_piece(child: Any) -> None:
    child.send(Run("p1", {"code": "'small'"}))
    frames = Decoder().feed(child.socket.recv(1 << 16))
    assert [type(message).__name__ for message, _ in frames] == ["Output", "Done"]


def test_the_time_of_a_run_is_the_models_own(child: Any) -> None:
    began = time.monotonic()
    _, _, done = child.run(code="__import__('time').sleep(0.05)")
    assert 0.05 <= done.seconds <= time.monotonic() - began
