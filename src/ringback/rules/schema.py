"""Checking a prediction's input against its version's schema, in the words of Replicate's 422.

The descriptions never repeat the value: it may be a megabyte, or a secret in the wrong field.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import jsonschema_rs

from ringback.words.errors import Invalid, InvalidField
from ringback.words.json import canonical

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

_MANY = 20
"""Faults listed at most: an array of a million wrong items is one mistake."""

_LONG = 100
"""Characters shown of a name that the request made up."""

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

_LARGE = 2_000
"""Values in an input from which on only its first fault is named."""


class InputSchema:
    """The compiled schema of a version's input."""

    def __init__(self, openapi_schema: dict[str, Any], name: str = "Input") -> None:
        """Compile one of `components.schemas` of a version's OpenAPI document.

        Args:
            openapi_schema: the document.
            name: `Input`, or `TrainingInput` of the version's trainings.

        Raises:
            ValueError: it holds no valid schema; names where.
        """
        components = openapi_schema.get("components", {})
        schemas = components.get("schemas", {})
        self.properties: dict[str, Any] = schemas.get(name, {}).get("properties", {})
        document = {"$ref": f"#/components/schemas/{name}", "components": _readable(components)}
        try:
            self._validator = jsonschema_rs.validator_for(
                document, validate_formats=True, formats={"uri": _is_uri}, mask="it"
            )
        except jsonschema_rs.ValidationError as error:
            where = ".".join(str(step) for step in error.instance_path) or "the schema"
            raise ValueError(f"{where}: {error.message}") from error

    def check(self, input_: Any) -> None:
        """Check an input.

        Raises:
            Invalid: with each fault, titled as Replicate titles it.
        """
        if self._validator.is_valid(input_):
            return
        faults = (field for error in self._errors(input_) for field in _fields(error))
        raise invalid_input(tuple(islice(faults, _MANY)))

    def _errors(self, input_: Any) -> Iterable[jsonschema_rs.ValidationError]:
        """Give all errors of an input, or of a large one the first."""
        if not _is_large(input_):
            return self._validator.iter_errors(input_)
        # iter_errors finds all before it gives the first: a million wrong items take it 17 s and 1.6 GB.
        try:
            self._validator.validate(input_)
        except jsonschema_rs.ValidationError as first:
            return [first]
        return []


def invalid_input(fields: tuple[InvalidField, ...]) -> Invalid:
    """Make the 422 for these faults."""
    detail = "".join(f"- {field.field or 'body'}: {field.description}\n" for field in fields)
    return Invalid(detail, title="Input validation failed", fields=fields)


def _is_uri(text: str) -> bool:
    # As loose as Replicate's: the JSON Schema one refuses the https://bücher.example/é that clients send.
    return _SCHEME.match(text) is not None


def _is_large(value: Any) -> bool:
    seen, left = 0, [value]
    while left:
        node = left.pop()
        if isinstance(node, dict | list):
            seen += len(node)
            if seen > _LARGE:
                return True
            left.extend(node.values() if isinstance(node, dict) else node)
    return False


_JUDGES_NULL = frozenset({"enum", "const", "$ref", "allOf", "anyOf", "oneOf", "not"})
"""Keywords that may refuse null even where the type allows it."""


def _readable(schema: Any) -> Any:
    """Say OpenAPI 3.0's `nullable` and Python's patterns in the validator's way."""
    if isinstance(schema, list):
        return [_readable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # A property may be called `nullable`: then what stands there is a schema.
    plain = {key: _readable(item) for key, item in schema.items() if not (key == "nullable" and item is True)}
    if isinstance(plain.get("pattern"), str):
        plain["pattern"] = _ESCAPE.sub(_end_of_text, plain["pattern"])
    if len(plain) == len(schema):
        return plain
    if isinstance(plain.get("type"), str) and not _JUDGES_NULL & plain.keys():
        return {**plain, "type": [plain["type"], "null"]}
    return {"anyOf": [plain, {"type": "null"}]}


def _end_of_text(escape: re.Match[str]) -> str:
    # Python's \Z is \z in Rust's dialect, which has no \Z.
    return r"\z" if escape[1] == "Z" else escape[0]


_GIVE_A_FILE = "give an http(s) or data: URL, or open the file so that the client sends it"
_RULES = {
    # jsonschema's rule: gojsonschema's name of it, and its words
    "Required": ("required", "{property} is required"),
    "Type": ("invalid_type", "Invalid type. Expected: {types}"),
    "Enum": ("enum", "Must be one of the following: {options}"),
    "Constant": ("const", "Must be {expected_value}"),
    "Maximum": ("number_lte", "Must be less than or equal to {limit}"),
    "Minimum": ("number_gte", "Must be greater than or equal to {limit}"),
    "ExclusiveMaximum": ("number_lt", "Must be less than {limit}"),
    "ExclusiveMinimum": ("number_gt", "Must be greater than {limit}"),
    "MultipleOf": ("multiple_of", "Must be a multiple of {multiple_of}"),
    "MaxLength": ("string_lte", "String length must be less than or equal to {limit}"),
    "MinLength": ("string_gte", "String length must be greater than or equal to {limit}"),
    "Pattern": ("pattern", "Does not match pattern '{pattern}'"),
    "Format": ("format", "Does not match format '{format}'"),
    "File": ("format", f"Does not match format 'uri': {_GIVE_A_FILE}"),
    "MaxItems": ("array_max_items", "Array must have at most {limit} items"),
    "MinItems": ("array_min_items", "Array must have at least {limit} items"),
    "UniqueItems": ("unique", "Array items must be unique"),
    "Contains": ("contains", "No item of the array is of the kind that one must be"),
    "MaxProperties": ("array_max_properties", "Must have at most {limit} properties"),
    "MinProperties": ("array_min_properties", "Must have at least {limit} properties"),
    "PropertyNames": ("invalid_property_name", "A property has a name that is not allowed"),
    "AdditionalProperties": (
        "additional_property_not_allowed",
        "Additional property {unexpected} is not allowed",
    ),
    "AnyOf": ("number_any_of", "Must match one of the allowed types"),
    "OneOfNotValid": ("number_one_of", "Must match one of the allowed types"),
    "OneOfMultipleValid": ("number_one_of", "Must match only one of the allowed types"),
    "Not": ("number_not", "Must not match the schema that is ruled out"),
    "FalseSchema": ("false", "No value is allowed here"),
}


def _fields(error: jsonschema_rs.ValidationError) -> Iterator[InvalidField]:
    kind = error.kind
    rule = type(kind).__name__
    facts = kind.as_dict()
    if rule == "AnyOf" and (only := _but_null(facts["context"])):
        for inner in only:
            yield from _fields(inner)
        return
    path = ".".join(["input", *(_cut(str(step)) for step in error.instance_path)])
    if facts.get("format") == "uri":
        rule = "File"
    type_, words = _RULES.get(rule, (rule.lower(), f"Does not fit the schema ({rule})"))
    for unexpected in facts.get("unexpected", [""]):
        shown = {**{key: _shown(key, fact) for key, fact in facts.items()}, "unexpected": _cut(unexpected)}
        yield InvalidField(type_, path, words.format(**shown))


def _but_null(branches: list[list[jsonschema_rs.ValidationError]]) -> list[jsonschema_rs.ValidationError]:
    """Give the faults of the only branch that is not null's, if there is just one: `_nullable` made them."""
    others = [faults for faults in branches if not _wants_null(faults)]
    return others[0] if len(others) == 1 < len(branches) else []


def _wants_null(faults: list[jsonschema_rs.ValidationError]) -> bool:
    return len(faults) == 1 and faults[0].kind.as_dict().get("types") == ["null"]


def _shown(key: str, fact: Any) -> str:
    match key:
        case "types":
            return " or ".join(sorted(fact, key=lambda name: (name == "null", name)))
        case "options":
            return fact if isinstance(fact, str) else ", ".join(canonical(option).decode() for option in fact)
        case "limit" | "multiple_of" | "expected_value":
            return canonical(fact).decode()
        case _:
            return str(fact)


def _cut(name: str) -> str:
    return name[:_LONG]
