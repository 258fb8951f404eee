"""An input against its schema: each fault in gojsonschema's words, and nothing of the value in any."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rules.schema import InputSchema
from ringback.words.errors import Invalid

COG_SCHEMAS = Path(__file__).parent.parent / "runner" / "cog_schemas.json"


def compiled(
    properties: dict[str, Any], components: dict[str, Any] | None = None, **more: Any
) -> InputSchema:
    input_ = {"type": "object", "properties": properties, **more}
    return InputSchema({"components": {"schemas": {"Input": input_, **(components or {})}}})


def faults(schema: InputSchema, input_: Any) -> list[tuple[str, str, str]]:
    try:
        schema.check(input_)
    except Invalid as invalid:
        return [(field.type, field.field, field.description) for field in invalid.fields]
    return []


GIVE_A_FILE = "give an http(s) or data: URL, or open the file so that the client sends it"
SIZE = {"enum": ["small", "large", 3], "type": "string", "title": "size", "description": "An enumeration."}


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"type": "integer"}, "9", ("invalid_type", "Invalid type. Expected: integer")),
        ({"type": "integer"}, 9.5, ("invalid_type", "Invalid type. Expected: integer")),
        ({"type": "boolean"}, 1, ("invalid_type", "Invalid type. Expected: boolean")),
        ({"type": "string"}, None, ("invalid_type", "Invalid type. Expected: string")),
        ({"enum": ["a", 1, None]}, "b", ("enum", 'Must be one of the following: "a", 1, null')),
        ({"const": "a"}, "b", ("const", 'Must be "a"')),
        ({"maximum": 4}, 5, ("number_lte", "Must be less than or equal to 4")),
        ({"maximum": 4.0}, 10**400, ("number_lte", "Must be less than or equal to 4")),
        ({"minimum": 0.5}, 0, ("number_gte", "Must be greater than or equal to 0.5")),
        ({"exclusiveMaximum": 4}, 4, ("number_lt", "Must be less than 4")),
        ({"exclusiveMinimum": 4}, 4, ("number_gt", "Must be greater than 4")),
        ({"multipleOf": 2}, 3, ("multiple_of", "Must be a multiple of 2")),
        ({"maxLength": 2}, "abc", ("string_lte", "String length must be less than or equal to 2")),
        ({"minLength": 4}, "abc", ("string_gte", "String length must be greater than or equal to 4")),
        ({"pattern": "^x{2}$"}, "abc", ("pattern", "Does not match pattern '^x{2}$'")),
        (
            {"format": "uri"},
            "photo.png",
            ("format", f"Does not match format 'uri': {GIVE_A_FILE}"),
        ),
        ({"format": "date"}, "photo.png", ("format", "Does not match format 'date'")),
        ({"maxItems": 1}, [1, 2], ("array_max_items", "Array must have at most 1 items")),
        ({"minItems": 3}, [1, 2], ("array_min_items", "Array must have at least 3 items")),
        ({"uniqueItems": True}, [1, 1], ("unique", "Array items must be unique")),
        ({"maxProperties": 0}, {"a": 1}, ("array_max_properties", "Must have at most 0 properties")),
        ({"minProperties": 1}, {}, ("array_min_properties", "Must have at least 1 properties")),
        ({"required": ["b"]}, {}, ("required", "b is required")),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1, "signal": 1},
            ("additional_property_not_allowed", "Additional property signal is not allowed"),
        ),
        (
            {"anyOf": [{"type": "integer"}, {"type": "array"}]},
            "x",
            ("number_any_of", "Must match one of the allowed types"),
        ),
        (
            {"oneOf": [{"type": "integer"}, {"type": "array"}]},
            "x",
            ("number_one_of", "Must match one of the allowed types"),
        ),
        (
            {"oneOf": [{"minimum": 1}, {"minimum": 2}]},
            3,
            ("number_one_of", "Must match only one of the allowed types"),
        ),
        ({"not": {"type": "string"}}, "x", ("number_not", "Must not match the schema that is ruled out")),
    ],
)
def test_each_rule_has_gojsonschemas_name(schema: dict[str, Any], value: Any, fault: tuple[str, str]) -> None:
    assert faults(compiled({"x": schema}), {"x": value}) == [(fault[0], "input.x", fault[1])]


def test_a_missing_input_is_told_of_the_object_it_is_missing_from() -> None:
    schema = compiled({"prompt": {"type": "string"}}, required=["prompt"])
    assert faults(schema, {}) == [("required", "input", "prompt is required")]


def test_every_fault_is_listed_and_the_detail_is_replicates_text() -> None:
    schema = compiled(
        {"prompt": {"type": "string"}, "num_inference_steps": {"type": "integer", "maximum": 4}},
        required=["prompt"],
    )
    with pytest.raises(Invalid) as caught:
        schema.check({"num_inference_steps": 5})
    assert caught.value.title == "Input validation failed"
    assert sorted(caught.value.detail.splitlines()) == [
        "- input.num_inference_steps: Must be less than or equal to 4",
        "- input: prompt is required",
    ]
    assert caught.value.detail.endswith("\n")


def test_the_place_inside_a_list_is_named() -> None:
    schema = compiled({"sizes": {"type": "array", "items": {"type": "integer"}}})
    assert [field for _, field, _ in faults(schema, {"sizes": [1, "a", 2, None]})] == [
        "input.sizes.1",
        "input.sizes.3",
    ]


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"type": "integer", "minimum": 3}, None, []),
        ({"type": "integer", "minimum": 3}, 3, []),
        (
            {"type": "integer", "minimum": 3},
            2,
            [("number_gte", "input.x", "Must be greater than or equal to 3")],
        ),
        ({"type": "integer"}, "x", [("invalid_type", "input.x", "Invalid type. Expected: integer or null")]),
        ({"allOf": [{"$ref": "#/components/schemas/size"}]}, None, []),
        ({"allOf": [{"$ref": "#/components/schemas/size"}]}, "small", []),
        (
            {"allOf": [{"$ref": "#/components/schemas/size"}]},
            "huge",
            [("enum", "input.x", 'Must be one of the following: "small", "large", 3')],
        ),
        ({"type": "string", "enum": ["a"]}, None, []),
        ({"type": "string", "enum": ["a"]}, "b", [("enum", "input.x", 'Must be one of the following: "a"')]),
        ({"anyOf": [{"type": "integer"}, {"type": "array"}]}, None, []),
    ],
)
def test_nullable_lets_null_through_and_hides_no_fault(
    schema: dict[str, Any], value: Any, fault: list[tuple[str, str, str]]
) -> None:
    assert faults(compiled({"x": {**schema, "nullable": True}}, {"size": SIZE}), {"x": value}) == fault


def test_without_nullable_null_is_wrong() -> None:
    assert faults(compiled({"x": {"type": "integer", "nullable": False}}), {"x": None}) != []


def test_an_input_may_be_called_nullable() -> None:
    schema = compiled({"nullable": {"type": "integer"}})
    assert faults(schema, {"nullable": "x"}) == [
        ("invalid_type", "input.nullable", "Invalid type. Expected: integer")
    ]


def test_an_enum_by_reference_lists_its_options() -> None:
    schema = compiled(
        {"x": {"allOf": [{"$ref": "#/components/schemas/size"}], "default": "small"}}, {"size": SIZE}
    )
    assert faults(schema, {"x": "large"}) == []
    found = faults(schema, {"x": "tiny"})
    assert found == [("enum", "input.x", 'Must be one of the following: "small", "large", 3')]


def test_a_thousand_wrong_items_are_twenty_faults() -> None:
    schema = compiled({"x": {"type": "array", "items": {"type": "integer"}}})
    assert len(faults(schema, {"x": ["a"] * 1000})) == 20


def test_a_million_wrong_items_are_one_fault_and_found_at_once() -> None:
    schema = compiled({"x": {"type": "array", "items": {"type": "integer"}}, "y": {"type": "integer"}})
    begun = time.process_time()
    assert [field for _, field, _ in faults(schema, {"x": ["a"] * 1_000_000})] == ["input.x.0"]
    assert time.process_time() - begun < 1.0  # finding them all would take 17 s and 1.6 GB
    assert [field for _, field, _ in faults(schema, {"x": [1] * 1_000_000, "y": "a"})] == ["input.y"]


@pytest.mark.parametrize(
    "text",
    ["https://a.example/x?y=1", "https://bücher.example/é b", "data:text/plain;base64,aGk=", "HTTP://a"],
)
def test_a_file_may_be_any_uri(text: str) -> None:
    assert faults(compiled({"x": {"type": "string", "format": "uri"}}), {"x": text}) == []


SECRET = "hunter2hunter2"
STRICT = {
    "type": "string",
    "maxLength": 3,
    "pattern": "^a$",
    "format": "uri",
    "enum": ["a"],
    "const": "a",
    "not": {"type": "string"},
    "anyOf": [{"type": "integer"}, {"type": "boolean"}],
    "oneOf": [{"type": "integer"}, {"type": "boolean"}],
}


@pytest.mark.parametrize(
    "value", [SECRET, [SECRET], {"x": SECRET}, {SECRET * 20: 1}, [[SECRET]], {"a": {"b": SECRET}}]
)
@pytest.mark.parametrize("rule", [*STRICT, "additionalProperties"])
def test_no_message_repeats_the_value(rule: str, value: Any) -> None:
    schema = compiled({"x": {rule: STRICT.get(rule, {"type": "integer"})}})
    text = repr(faults(schema, {"x": value}))
    if SECRET in text:  # a key is a name: it may be shown, cut
        assert isinstance(value, dict)
        assert SECRET in next(iter(value))
        assert len(text) < 400


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_whatever_is_given_the_answer_is_fine_or_faults(value: Any) -> None:
    schema = compiled(
        {"n": {"type": "integer", "nullable": True}, "s": {"allOf": [{"$ref": "#/components/schemas/size"}]}},
        {"size": SIZE},
        required=["n"],
    )
    schema.check({"n": None})
    for input_ in (value, {"n": value}, {"n": 1, "s": value}):
        found = faults(schema, input_)
        assert found or (isinstance(input_, dict) and "n" in input_)


def test_the_schemas_that_cog_prints_compile() -> None:
    cases = json.loads(COG_SCHEMAS.read_text())["cases"]
    assert len(cases) > 10
    for case in cases.values():
        schema = InputSchema({"components": {"schemas": case["schemas"]}})
        assert faults(schema, "not an object") != []


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [(r"^a\Z", "a", "a\n"), (r"(x|y\Z)", "y", "yz"), (r"^\\Z$", "\\Z", "\\"), (r"\\\Z", "\\", "\\Z")],
)
def test_the_end_of_text_is_matched_as_python_matches_it(pattern: str, good: str, bad: str) -> None:
    assert (bool(re.search(pattern, good)), bool(re.search(pattern, bad))) == (True, False)
    schema = compiled({"x": {"type": "string", "pattern": pattern}})
    assert faults(schema, {"x": good}) == []
    assert [fault[0] for fault in faults(schema, {"x": bad})] == ["pattern"]


def test_a_property_called_pattern_is_a_schema_like_any_other() -> None:
    schema = compiled({"pattern": {"type": "string", "maxLength": 1}})
    assert [fault[0] for fault in faults(schema, {"pattern": "ab"})] == ["string_lte"]


def test_a_pattern_that_can_not_be_compiled_is_named() -> None:
    with pytest.raises(ValueError, match=r"^components\.schemas\.Input\.properties\.word\.pattern: "):
        compiled({"word": {"type": "string", "pattern": "(?(1)a|b)"}})
