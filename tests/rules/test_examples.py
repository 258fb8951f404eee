"""Examples that fit a schema: what a model takes and gives, without running it."""

import json
from pathlib import Path
from typing import Any

import pytest

from ringback.rules.example import example
from ringback.rules.schema import InputSchema

FILE = "http://ringback.example/f/x/output.png"
CASES = json.loads((Path(__file__).parent.parent / "runner/cog_schemas.json").read_text())["cases"]


@pytest.mark.parametrize("name", CASES)
def test_an_example_of_a_models_input_is_an_input_that_it_takes(name: str) -> None:
    schemas = CASES[name]["schemas"]
    given = example(schemas["Input"], schemas, FILE)
    InputSchema({"components": {"schemas": schemas}}).check(given)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "format": "uri"}, FILE),
        ({"type": "string", "title": "Output"}, "output"),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "default": 7, "minimum": 3}, 7),
        ({"type": "boolean"}, True),
        ({"type": "array", "items": {"type": "string", "format": "uri"}}, [FILE, FILE]),
        ({"type": "object", "properties": {"a": {"type": "number"}}}, {"a": 1}),
        ({"enum": ["red", "blue"]}, "red"),
        ({"allOf": [{"$ref": "#/components/schemas/size"}]}, "large"),
        ({}, None),
        (None, None),
        ({"$ref": "#/components/schemas/nowhere"}, None),
    ],
)
def test_each_kind_of_schema_has_its_example(schema: Any, expected: Any) -> None:
    assert example(schema, {"size": {"enum": ["large"]}}, FILE) == expected


def test_a_schema_that_holds_itself_ends() -> None:
    tree = {"type": "object", "properties": {"inner": {"$ref": "#/components/schemas/tree"}}}
    assert "inner" in example(tree, {"tree": tree}, FILE)
