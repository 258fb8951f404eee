"""A predictor's OpenAPI document in Cog's form (OpenAPI 3.0.2), as Replicate's clients read it.

Held to what cog 0.16.12 prints, with two differences on purpose: the default of a Literal is kept (cog
loses it), and generators and asynchronous iterators are marked as iterators, which is how they behave.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import json
import typing
from collections.abc import Callable
from typing import Any, Literal

from .parameters import (
    MISSING,
    Parameter,
    is_file,
    is_path,
    is_secret,
    is_union,
    list_item,
    split_optional,
)

_REF = "#/components/schemas/"
_RESERVED = ("Input", "Output", "TrainingInput", "TrainingOutput")
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_STREAMS = (
    collections.abc.Iterator,
    collections.abc.AsyncIterator,
    collections.abc.Generator,
    collections.abc.AsyncGenerator,
    collections.abc.Iterable,
    collections.abc.AsyncIterable,
)
_ARRAYS = (tuple, set, frozenset, typing.Tuple, typing.Set, typing.FrozenSet)  # noqa: UP006 - the old aliases too

Schema = dict[str, Any]


def openapi(
    parameters: tuple[Parameter, ...], returns: Any, function: Callable[..., Any], prefix: str = ""
) -> Schema:
    """Return the document for a predictor with these parameters and this return type.

    Args:
        parameters: as `parameters.read` gave them.
        returns: the annotated type, or MISSING; then `function` tells at least whether it yields.
        function: what runs a prediction.
        prefix: what stands before `Input` and `Output` in their components' names: "Training", as in Cog's
            document of a model with `train`.
    """
    given, made = f"{prefix}Input", f"{prefix}Output"
    components: dict[str, Schema] = {}
    properties = {each.name: _input(each, order, components) for order, each in enumerate(parameters)}
    required = [each.name for each in parameters if each.required]
    components[given] = {"type": "object", "title": given, "properties": properties}
    if required:
        components[given]["required"] = required
    components[made] = _output(returns, function, components, made)
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {"schemas": components},
    }


def _input(parameter: Parameter, order: int, components: dict[str, Schema]) -> Schema:
    extra = {**parameter.limits, "x-order": order}
    if parameter.default is not MISSING and parameter.default is not None and _is_json(parameter.default):
        extra["default"] = _json_default(parameter.default)
    choices = parameter.choices or _literal(parameter.annotation)
    if choices is not None and (parameter.choices or len(choices) > 1) and parameter.name not in _RESERVED:
        named = {"enum": list(choices), "title": parameter.name, "description": "An enumeration."}
        components[parameter.name] = {**_common_type(choices), **named}
        return {"allOf": [{"$ref": _REF + parameter.name}], **extra}
    found = _nullable(_describe(parameter.annotation, components), nullable=parameter.optional)
    return {**found, "title": _title(parameter.name), **extra}


def _output(returns: Any, function: Callable[..., Any], components: dict[str, Schema], name: str) -> Schema:
    if returns is MISSING and (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)):
        return {**_stream({}), "title": name}
    if returns is MISSING:
        return {"title": name}
    found = _described_stream(returns, components)
    if found is None:
        inner, optional = split_optional(returns)
        found = _nullable(_describe(inner, components), nullable=optional)
        if _literal(inner):
            found["description"] = "An enumeration."
    if found == {"$ref": _REF + name}:  # a class of that name is the component itself
        return components[name]
    return found if "$ref" in found else {**found, "title": name}


def _described_stream(returns: Any, components: dict[str, Schema]) -> Schema | None:
    origin = typing.get_origin(returns) or returns
    if not isinstance(origin, type):
        return None
    if origin.__name__.endswith("ConcatenateIterator"):
        return {**_stream({"type": "string"}), "x-cog-array-display": "concatenate"}
    if origin not in _STREAMS:
        return None
    arguments = typing.get_args(returns)
    return _stream(_describe_item(arguments[0], components) if arguments else {})


def _stream(items: Schema) -> Schema:
    return {"type": "array", "items": items, "x-cog-array-type": "iterator"}


def _describe_item(annotation: Any, components: dict[str, Schema]) -> Schema:
    inner, optional = split_optional(annotation)
    return _nullable(_describe(inner, components), nullable=optional)


def _describe(annotation: Any, components: dict[str, Schema]) -> Schema:
    """Describe a type that is not Optional; what has no JSON form of its own may be anything."""
    if annotation in _PLAIN or annotation is None:
        return {"type": _PLAIN.get(annotation, "null")}
    if is_path(annotation) or is_file(annotation):
        return {"type": "string", "format": "uri"}
    if is_secret(annotation):
        return {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True}
    choices = _literal(annotation)
    if choices is not None:
        return _enum(choices)
    if is_union(annotation):
        return {"anyOf": [_describe_item(each, components) for each in typing.get_args(annotation)]}
    return _describe_container(annotation, components)


def _describe_container(annotation: Any, components: dict[str, Schema]) -> Schema:
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    item = list_item(annotation)
    if item is not MISSING:
        return {"type": "array", "items": _describe_item(item, components)}
    if origin in _ARRAYS:
        same = [each for each in arguments if each is not ...]
        return {"type": "array", "items": _describe_item(same[0], components) if len(same) == 1 else {}}
    if not isinstance(origin, type):
        return {}
    if issubclass(origin, collections.abc.Mapping):
        values = _describe_item(arguments[1], components) if arguments else {}
        return {"type": "object", "additionalProperties": values or True}
    if dataclasses.is_dataclass(origin) or hasattr(origin, "model_fields"):
        return _record(origin, components)
    return {}


def _record(cls: Any, components: dict[str, Schema]) -> Schema:
    """Describe a dataclass or pydantic model as a component of its own."""
    name = cls.__name__
    if name not in components:
        components[name] = {}  # so that a class that holds itself ends here
        properties, required = {}, []
        for key, annotation, default in _members(cls):
            found = _describe_item(annotation, components)
            properties[key] = found if "$ref" in found else {**found, "title": _title(key)}
            if default is not MISSING and default is not None and _is_json(default):
                properties[key]["default"] = default
            if default is MISSING and not split_optional(annotation)[1]:
                required.append(key)
        components[name].update({"type": "object", "title": name, "properties": properties})
        if required:
            components[name]["required"] = required
    return {"$ref": _REF + name}


def _members(cls: Any) -> list[tuple[str, Any, Any]]:
    """Return name, type and default (MISSING without; None when it is made anew) of each field."""
    fields = getattr(cls, "model_fields", None)
    if isinstance(fields, dict):
        return [
            (key, each.annotation, MISSING if each.is_required() else each.default)
            for key, each in fields.items()
        ]
    hints = typing.get_type_hints(cls, include_extras=True)
    members = []
    for each in dataclasses.fields(cls):
        made = each.default_factory is not dataclasses.MISSING
        without = None if made else MISSING
        members.append(
            (each.name, hints[each.name], without if each.default is dataclasses.MISSING else each.default)
        )
    return members


def _literal(annotation: Any) -> tuple[Any, ...] | None:
    return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else None


def _enum(choices: tuple[Any, ...]) -> Schema:
    allowed = {"const": choices[0]} if len(choices) == 1 else {"enum": list(choices)}
    return {**_common_type(choices), **allowed}


def _common_type(choices: tuple[Any, ...]) -> Schema:
    kinds = {type(each) for each in choices}
    return {"type": _PLAIN[kinds.pop()]} if len(kinds) == 1 and kinds <= _PLAIN.keys() else {}


def _nullable(found: Schema, *, nullable: bool) -> Schema:
    if not nullable or not found:
        return found
    if "$ref" in found:  # OpenAPI 3.0 ignores what stands beside a $ref
        return {"allOf": [found], "nullable": True}
    return {**found, "nullable": True}


def _title(name: str) -> str:
    return name.title().replace("_", " ").strip()


def _json_default(default: Any) -> Any:
    return str(default) if is_path(type(default)) else default


def _is_json(value: Any) -> bool:
    try:
        json.dumps(_json_default(value), allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
