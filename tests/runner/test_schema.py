"""The schema against what Cog itself printed (cog_schemas.json, recorded from cog 0.16.12)."""

import dataclasses
import io
import json
import pathlib
import sys
import types
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ringback.runner import parameters, schema
from ringback.work.training import merged

_PRINTED = json.loads((Path(__file__).parent / "cog_schemas.json").read_text())
_RECORDED = _PRINTED["cases"]
_TRAININGS = _PRINTED["trainings"]
_Item = TypeVar("_Item")


class _FieldInfo:
    """What cog 0.16's Input() makes: pydantic's FieldInfo, as far as it is looked at."""

    def __init__(self, default: Any = ..., description: str | None = None, **limits: Any) -> None:
        self.default = default
        self.description = description
        self.deprecated = limits.pop("deprecated", None)
        choices = limits.pop("choices", None)
        self.json_schema_extra = {"enum": choices} if choices else None
        if "regex" in limits:
            limits["pattern"] = limits.pop("regex")
        self.metadata = [types.SimpleNamespace(**{key: value}) for key, value in limits.items()]


_FieldInfo.__name__ = "FieldInfo"


class ConcatenateIterator(Iterator[_Item]):
    pass


class AsyncConcatenateIterator(AsyncIterator[_Item]):
    pass


class _BaseModel:
    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(kw_only=True)(cls)


class _Secret:
    def get_secret_value(self) -> str:
        return ""


class _File(io.IOBase):
    pass


@pytest.fixture
def cog(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with Cog's names, so that the test needs no Cog."""
    module = types.ModuleType("cog")
    vars(module).update(
        Input=_FieldInfo,
        Path=type("Path", (type(pathlib.Path()),), {}),
        File=_File,
        Secret=_Secret,
        BaseModel=_BaseModel,
        ConcatenateIterator=ConcatenateIterator,
        AsyncConcatenateIterator=AsyncConcatenateIterator,
    )
    monkeypatch.setitem(sys.modules, "cog", module)


def _schemas(source: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = types.ModuleType("recorded_model")
    monkeypatch.setitem(sys.modules, "recorded_model", module)
    exec(source, vars(module))
    predictor = getattr(module, "Predictor", None)
    function = predictor().predict if predictor else module.predict
    found, returns = parameters.read(function)
    schemas = schema.openapi(found, returns, function)["components"]["schemas"]
    assert isinstance(schemas, dict)
    return schemas


@pytest.mark.parametrize("name", sorted(_RECORDED))
def test_the_schema_is_what_cog_prints(name: str, cog: None, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _RECORDED[name]["schemas"]
    # Two differences on purpose: Cog loses the default of a Literal, and misses that a generator streams.
    if name == "literals":
        expected["Input"]["properties"]["size"]["default"] = 2
        expected["Input"]["properties"]["style"]["default"] = "u"
    if name == "generator":
        expected["Output"]["x-cog-array-type"] = "iterator"
    assert _schemas(_RECORDED[name]["source"], monkeypatch) == expected


def _training_schemas(source: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = types.ModuleType("recorded_training")
    monkeypatch.setitem(sys.modules, "recorded_training", module)
    exec(source, vars(module))
    trainer = getattr(module, "Trainer", None)
    function = trainer().train if trainer else module.train
    found, returns = parameters.read(function)
    schemas = schema.openapi(found, returns, function, "Training")["components"]["schemas"]
    assert isinstance(schemas, dict)
    return schemas


def _named(schemas: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Cog's document with our names for what the two halves call alike, and no $ref that has company."""
    text = json.dumps(schemas)
    for cogs, ours in names.items():
        text = text.replace(f'"{cogs}"', f'"{ours}"').replace(f'schemas/{cogs}"', f'schemas/{ours}"')
    found = json.loads(text)
    for each in found["TrainingInput"]["properties"].values():
        if "$ref" in each:
            each["allOf"] = [{"$ref": each.pop("$ref")}]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", sorted(_TRAININGS))
def test_the_schema_of_a_model_with_trainings_is_what_cog_prints(
    name: str, cog: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = _TRAININGS[name]
    # Two differences on purpose: Cog puts the default beside a $ref, where OpenAPI 3.0 ignores it, and names
    # a component after its module, or at random, where the two halves of the document use one name.
    names = {
        "train_choices": {"cog__predictor__mode__1": "training_mode", "cog__predictor__mode__2": "mode"},
        "train_same_output_class": {
            "d98b7848ef4c4857a38c2ac2f136300c__Thing": "Thing",
            "e90847502dae48bc8004156e99e09f24__Thing": "training_Thing",
        },
    }
    document = {"components": {"schemas": _schemas(recorded["predict"], monkeypatch)}}
    training = {"components": {"schemas": _training_schemas(recorded["train"], monkeypatch)}}
    found = merged(document, training)["components"]["schemas"]
    assert found == _named(recorded["schemas"], names.get(name, {}))


@pytest.mark.parametrize(
    ("returns", "output"),
    [
        (
            "AsyncIterator[str]",
            {"items": {"type": "string"}, "type": "array", "x-cog-array-type": "iterator"},
        ),
        (
            "AsyncGenerator[int, None]",
            {"items": {"type": "integer"}, "type": "array", "x-cog-array-type": "iterator"},
        ),
        ("Iterator", {"items": {}, "type": "array", "x-cog-array-type": "iterator"}),
        ("SomethingElse", {}),
    ],
)
def test_outputs_that_cog_cannot_describe_are_described(
    returns: str, output: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"from typing import *\nclass SomethingElse: pass\ndef predict(a: str) -> {returns}: pass\n"
    assert _schemas(source, monkeypatch)["Output"] == {**output, "title": "Output"}


def test_a_generator_without_a_return_type_is_an_iterator(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _schemas("def predict(a: str):\n    yield a\n", monkeypatch)
    assert found["Output"]["x-cog-array-type"] == "iterator"


def test_annotations_that_are_strings_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from __future__ import annotations\n"
        "from pathlib import Path\n"
        "def predict(a: list[Path]) -> Path: pass\n"
    )
    found = _schemas(source, monkeypatch)
    assert found["Input"]["properties"]["a"]["items"] == {"type": "string", "format": "uri"}
    assert found["Output"]["format"] == "uri"


def test_inputs_of_any_json_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _schemas(
        "from typing import Any\ndef predict(a: dict, b: Any = 3, c: list = []): pass\n", monkeypatch
    )
    assert found["Input"]["properties"] == {
        "a": {"type": "object", "additionalProperties": True, "title": "A", "x-order": 0},
        "b": {"default": 3, "title": "B", "x-order": 1},
        "c": {"type": "array", "items": {}, "default": [], "title": "C", "x-order": 2},
    }


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        ("prompt", "parameter 'prompt' of predict() has no type annotation"),
        ("a: str, *rest: str", "can't be given by name"),
        ("**more: str", "can't be given by name"),
        ("a: bytes", "parameter 'a' of predict() has the type bytes"),
        ("a: 'Unknown'", "can't be read by this Python"),
    ],
)
def test_a_signature_that_cannot_be_served_says_which_parameter(
    signature: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(parameters.LoadError) as caught:
        _schemas(f"def predict({signature}): pass\n", monkeypatch)
    assert words in str(caught.value)
