"""A value that fits a JSON schema, as an example of what a model takes or gives."""

from typing import Any

_REF = "#/components/schemas/"
_DEEPEST = 8
_MOST = 2
"""Items of an example array."""

Schema = dict[str, Any]


def example(schema: Any, schemas: Schema, uri: str, depth: int = 0) -> Any:
    """Make a value of `schema`; None where the schema allows anything, or is nested too deep.

    Args:
        schema: of Cog's form: types, enums, `allOf` and `$ref` to other schemas.
        schemas: those others, by name.
        uri: the example of a file.
        depth: how deep this one stands.
    """
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return example(schemas.get(str(schema["$ref"]).removeprefix(_REF)), schemas, uri, depth + 1)
    for key in ("allOf", "anyOf", "oneOf"):
        if schema.get(key):
            return example(schema[key][0], schemas, uri, depth + 1)
    return _of_type(schema, schemas, uri, depth)


def _of_type(schema: Schema, schemas: Schema, uri: str, depth: int) -> Any:
    match schema.get("type"):
        case "string":
            return uri if schema.get("format") == "uri" else str(schema.get("title", "text")).lower()
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return [example(schema.get("items"), schemas, uri, depth + 1)] * _MOST
        case "object":
            properties = schema.get("properties") or {}
            return {name: example(inner, schemas, uri, depth + 1) for name, inner in properties.items()}
        case _:
            return None
