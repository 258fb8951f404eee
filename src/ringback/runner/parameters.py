"""What a predictor's signature says: its parameters, their types, defaults and limits.

Cog's `Input(...)` is understood by its shape (cog up to 0.16 returns pydantic's FieldInfo, later ones their
own), and so are Cog's types, so that nothing has to be imported from the model's environment.
"""

from __future__ import annotations

import collections.abc
import inspect
import io
import os
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Union


class LoadError(Exception):
    """The model can't be hosted as it is written; the message is one line that says what to change."""


class _Missing:
    """The type of MISSING."""


MISSING = _Missing()
_UNION_ORIGINS = (Union, getattr(types, "UnionType", Union))  # X | Y is new in Python 3.10
_NAMED_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_SCALARS = (str, int, float, bool, dict, list)

# Attribute of Input() (or of an entry of its `metadata`) -> keyword of JSON Schema.
_LIMITS = (
    ("description", "description"),
    ("ge", "minimum"),
    ("le", "maximum"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("regex", "pattern"),
    ("pattern", "pattern"),
    ("deprecated", "deprecated"),
)


@dataclass(frozen=True)
class Parameter:
    """One input of the model.

    Attributes:
        name: the parameter's, and the input's, name.
        annotation: its type without Optional.
        optional: whether the type allows None.
        default: its default, or MISSING; never Cog's Input object.
        limits: further keywords of JSON Schema (`minimum`, `description`, …).
        choices: the only values allowed, if they are listed.
    """

    name: str
    annotation: Any
    optional: bool = False
    default: Any = MISSING
    limits: dict[str, Any] = field(default_factory=dict)
    choices: tuple[Any, ...] | None = None

    @property
    def required(self) -> bool:
        """Whether an input must give it; Optional without a default means None."""
        return self.default is MISSING and not self.optional


def read(function: Callable[..., Any]) -> tuple[tuple[Parameter, ...], Any]:
    """Return the parameters of `function` (without `self`) and the type it returns (MISSING if not said).

    Raises:
        LoadError: a parameter has no annotation, a type that is not JSON, or can't be given by name.
    """
    where = getattr(function, "__name__", "the predictor") + "()"
    signature = inspect.signature(function)
    hints = _hints(function, where)
    parameters = []
    for each in signature.parameters.values():
        if each.kind not in _NAMED_KINDS:
            raise LoadError(
                f"{where} takes {each}, which can't be given by name; name each input and annotate it"
            )
        annotation = hints.get(each.name, each.annotation)
        if annotation is inspect.Parameter.empty:
            example = f"write for example {each.name}: str"
            raise LoadError(f"parameter '{each.name}' of {where} has no type annotation; {example}")
        parameters.append(_parameter(each, annotation, where))
    returns = hints.get("return", signature.return_annotation)
    return tuple(parameters), MISSING if returns is inspect.Signature.empty else returns


def type_of(function: Callable[..., Any], name: str) -> Any:
    """Return the type of a parameter without Optional; `inspect.Parameter.empty` if it is not said.

    Raises:
        LoadError: it is a string that this Python can't read.
    """
    given = inspect.signature(function).parameters[name].annotation
    where = getattr(function, "__name__", "the predictor") + "()"
    return split_optional(_hints(function, where).get(name, given))[0]


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """Resolve annotations that are strings; get_type_hints changes others on Python 3.10 and older."""
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if not any(isinstance(each, str) for each in getattr(plain, "__annotations__", {}).values()):
        return {}
    try:
        return typing.get_type_hints(plain, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise LoadError(f"the annotations of {where} can't be read by this Python: {error}") from error


def _parameter(given: inspect.Parameter, annotation: Any, where: str) -> Parameter:
    inner, optional = split_optional(annotation)
    if not _is_input_type(inner):
        raise LoadError(
            f"parameter '{given.name}' of {where} has the type {type_name(annotation)}; an input can be"
            " str, int, float, bool, Path, dict, Any, a Literal, or a list, Optional or Union of them"
        )
    if given.default is inspect.Parameter.empty:
        return Parameter(given.name, inner, optional)
    if type(given.default).__name__ != "FieldInfo":
        return Parameter(given.name, inner, optional, given.default)
    return Parameter(
        given.name,
        inner,
        optional,
        _field_default(given.default),
        _field_limits(given.default),
        _field_choices(given.default),
    )


def split_optional(annotation: Any) -> tuple[Any, bool]:
    """Return `annotation` without Annotated and None, and whether it allows None."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if not is_union(annotation):
        return annotation, False
    members = typing.get_args(annotation)
    rest = tuple(each for each in members if each is not type(None))
    if len(rest) == len(members):
        return annotation, False
    return (rest[0] if len(rest) == 1 else Union[rest]), True  # noqa: UP007 - a tuple of types


def is_union(annotation: Any) -> bool:
    """Whether it is `Union[...]` or `X | Y`."""
    return typing.get_origin(annotation) in _UNION_ORIGINS


def _is_class(annotation: Any) -> bool:
    """Whether it is a class and not an alias: up to 3.10 `list[int]` too says that it is a type."""
    return isinstance(annotation, type) and typing.get_origin(annotation) is None


def is_path(annotation: Any) -> bool:
    """Whether it is a type of paths: pathlib's, Cog's, or os.PathLike itself."""
    return _is_class(annotation) and issubclass(annotation, os.PathLike)


def is_file(annotation: Any) -> bool:
    """Whether it is a type of open files, as Cog's deprecated `File`."""
    return _is_class(annotation) and issubclass(annotation, io.IOBase)


def is_secret(annotation: Any) -> bool:
    """Whether it is Cog's or pydantic's Secret."""
    return _is_class(annotation) and hasattr(annotation, "get_secret_value")


def list_item(annotation: Any) -> Any:
    """Return T for `list[T]`, Any for a bare list, and MISSING for anything else."""
    if annotation in (list, typing.List):  # noqa: UP006 - the old alias is what is looked for
        return Any
    if typing.get_origin(annotation) in (list, collections.abc.Sequence):
        return typing.get_args(annotation)[0]
    return MISSING


def type_name(annotation: Any) -> str:
    """Return how the type is written, for a person."""
    return str(annotation.__qualname__ if _is_class(annotation) else annotation)


def _is_input_type(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if annotation is Any or annotation in _SCALARS or origin in (Literal, dict):
        return True
    if is_path(annotation) or is_file(annotation) or is_secret(annotation):
        return True
    if is_union(annotation):
        return all(_is_input_type(each) for each in typing.get_args(annotation))
    item = list_item(annotation)
    return item is not MISSING and _is_input_type(split_optional(item)[0])


def _field_default(given: Any) -> Any:
    default = given.default
    if default is ... or type(default).__name__ in {"PydanticUndefinedType", "UndefinedType"}:
        return MISSING
    # Newer versions of cog say None both for "no default" and for a default of None.
    if default is None and type(given).__module__.partition(".")[0] == "cog":
        return MISSING
    return default


def _field_limits(given: Any) -> dict[str, Any]:
    limits = {}
    for source in (given, *getattr(given, "metadata", ())):
        for attribute, keyword in _LIMITS:
            value = getattr(source, attribute, None)
            if value is not None:
                limits[keyword] = value
    return limits


def _field_choices(given: Any) -> tuple[Any, ...] | None:
    extra = getattr(given, "json_schema_extra", None) or getattr(given, "extra", None) or {}
    choices = getattr(given, "choices", None) or (extra.get("enum") if isinstance(extra, dict) else None)
    return tuple(choices) if choices else None
