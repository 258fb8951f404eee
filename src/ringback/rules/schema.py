"""Checking a prediction's input against its version's schema, in the words of Replicate's 422.

The descriptions never repeat the value: it may be a megabyte, or a secret in the wrong field.
"""

from typing import Any

import jsonschema_rs

from ringback.words.errors import Invalid, InvalidField

_MANY = 20
"""Faults listed at most: an array of a million wrong items is one mistake."""


class InputSchema:
    """The compiled schema of a version's input."""

    def __init__(self, openapi_schema: dict[str, Any]) -> None:
        """Compile `components.schemas.Input` of a version's OpenAPI document.

        Raises:
            ValueError: it holds no valid schema.
        """
        components = openapi_schema.get("components", {})
        schemas = components.get("schemas", {})
        self.properties: dict[str, Any] = schemas.get("Input", {}).get("properties", {})
        document = {"$ref": "#/components/schemas/Input", "components": _nullable(components)}
        self._validator = jsonschema_rs.validator_for(document)

    def check(self, input_: Any) -> None:
        """Check an input.

        Raises:
            Invalid: with each fault, titled as Replicate titles it.
        """
        if self._validator.is_valid(input_):
            return
        fields = []
        for error in self._validator.iter_errors(input_):
            fields.append(_field(error))
            if len(fields) == _MANY:
                break
        raise invalid_input(tuple(fields))


def invalid_input(fields: tuple[InvalidField, ...]) -> Invalid:
    """Make the 422 for these faults."""
    detail = "".join(f"- {field.field or 'body'}: {field.description}\n" for field in fields)
    return Invalid(detail, title="Input validation failed", fields=fields)


def _nullable(schema: Any) -> Any:
    """Say OpenAPI 3.0's `nullable` in JSON Schema's way."""
    if isinstance(schema, list):
        return [_nullable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _nullable(item) for key, item in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain


_TYPES = {
    # jsonschema's rule: gojsonschema's name of it
    "Required": "required",
    "Type": "invalid_type",
    "Enum": "enum",
    "Constant": "const",
    "Maximum": "number_lte",
    "Minimum": "number_gte",
    "ExclusiveMaximum": "number_lt",
    "ExclusiveMinimum": "number_gt",
    "MaxLength": "string_lte",
    "MinLength": "string_gte",
    "MaxItems": "array_max_items",
    "MinItems": "array_min_items",
    "UniqueItems": "unique",
    "Pattern": "pattern",
    "Format": "format",
    "AnyOf": "number_any_of",
    "AdditionalProperties": "additional_property_not_allowed",
}


def _field(error: jsonschema_rs.ValidationError) -> InvalidField:
    kind = error.kind
    rule = type(kind).__name__
    path = ".".join(["input", *(str(step) for step in error.instance_path)])
    return InvalidField(_TYPES.get(rule, rule.lower()), path, _describe(rule, kind))


def _describe(rule: str, kind: Any) -> str:  # noqa: C901, PLR0911 - one line for each rule is the point
    match rule:
        case "Required":
            return f"{kind.property} is required"
        case "Type":
            return f"Invalid type. Expected: {' or '.join(kind.types)}"
        case "Enum":
            options = kind.options if isinstance(kind.options, str) else ", ".join(map(_shown, kind.options))
            return f"Must be one of the following: {options}"
        case "Maximum":
            return f"Must be less than or equal to {kind.limit}"
        case "Minimum":
            return f"Must be greater than or equal to {kind.limit}"
        case "ExclusiveMaximum":
            return f"Must be less than {kind.limit}"
        case "ExclusiveMinimum":
            return f"Must be greater than {kind.limit}"
        case "MaxLength":
            return f"String length must be less than or equal to {kind.limit}"
        case "MinLength":
            return f"String length must be greater than or equal to {kind.limit}"
        case "Pattern":
            return f"Does not match pattern '{kind.pattern}'"
        case "AnyOf":
            return "Must match one of the allowed types"
        case _:
            return f"Does not fit the schema ({rule})"


def _shown(option: Any) -> str:
    return f'"{option}"' if isinstance(option, str) else str(option)
