"""Finds the predictor, or what trains it, in the model's folder and makes it ready."""

from __future__ import annotations

import importlib.util
import inspect
import os
import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from . import parameters, schema
from .inputs import as_file
from .parameters import LoadError, Parameter

# Base classes that define methods only so that authors override them.
_FRAMEWORKS = ("cog", "coglet")

# What a class's method is called, by mode.
_METHODS = {"predict": ("run", "predict"), "train": ("train",)}
_PREFIXES = {"predict": "", "train": "Training"}

# Types of JSON that a training can't return: they hold no weights.
_NO_WEIGHTS = ("integer", "number", "boolean", "null", "array")


@dataclass(frozen=True)
class Entry:
    """A predictor that is imported and described, not yet set up.

    Attributes:
        target: the class, or the function itself.
        method: the name of the class's method that runs a prediction, or a training; None for a function.
        parameters: its inputs.
        schema: its OpenAPI document.
    """

    target: Any
    method: str | None
    parameters: tuple[Parameter, ...]
    schema: dict[str, Any]


def load(entry: str, mode: str = "predict") -> Entry:
    """Import `entry` ("FILE.py:NAME", relative to the working directory) and describe it.

    Args:
        entry: what to import.
        mode: "predict", or "train" for what trains the model.

    Raises:
        LoadError: there is no such thing, or it can't be hosted as it is written.
        BaseException: whatever the model's own code raises while it is imported.
    """
    file, colon, name = entry.partition(":")
    if not colon or not file or not name:
        raise LoadError(f"'{entry}' is not FILE.py:NAME, for example predict.py:Predictor")
    module = _import(pathlib.Path(file))
    target = getattr(module, name, None)
    if target is None:
        raise LoadError(f"{file} has no '{name}'")
    if not callable(target):
        raise LoadError(f"'{name}' in {file} is neither a class nor a function")
    method = _method(target, file, _METHODS[mode]) if inspect.isclass(target) else None
    function = getattr(target, method) if method is not None else target
    found, returns = parameters.read(_without_self(target, method) if method is not None else target)
    document = schema.openapi(found, returns, function, _PREFIXES[mode])
    if mode == "train":
        _check_training(document, name, file)
    return Entry(target, method, found, document)


def _check_training(document: schema.Schema, name: str, file: str) -> None:
    """Refuse now what would be found out after hours of training: that there are no weights in its result."""
    schemas = document["components"]["schemas"]
    found = schemas["TrainingOutput"]
    reference = found.get("$ref")
    found = found if reference is None else schemas[reference.rpartition("/")[2]]
    without = "properties" in found and "weights" not in found["properties"]
    if without or found.get("type") in _NO_WEIGHTS:
        raise LoadError(
            f"'{name}' in {file} returns no weights: a training returns a Path, or an object with `weights`"
        )


def _import(file: pathlib.Path) -> ModuleType:
    if not file.is_file():
        raise LoadError(f"there is no {file} in the model's folder")
    # A model's json.py must not take the place of a module that is in use.
    name = file.stem if file.stem not in sys.modules else f"model_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file.absolute())
    if spec is None or spec.loader is None:
        raise LoadError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as an import would: pickle and dataclasses look there
    spec.loader.exec_module(module)
    return module


def _method(cls: type, file: str, names: tuple[str, ...]) -> str:
    own = [each for each in cls.__mro__ if each.__module__.partition(".")[0] not in _FRAMEWORKS]
    defined = [name for name in names if any(name in vars(each) for each in own)]
    if not defined and len(names) == 1:
        raise LoadError(f"{cls.__name__} in {file} does not define {names[0]}()")
    if not defined:
        raise LoadError(f"{cls.__name__} in {file} defines neither run() nor predict()")
    if len(defined) > 1:
        raise LoadError(f"{cls.__name__} in {file} defines both run() and predict(); keep run()")
    return defined[0]


def _without_self(cls: type, method: str) -> Callable[..., Any]:
    """Return the method as callers of an instance see it; the class is not instantiated before setup."""
    found: Callable[..., Any] = getattr(cls, method)
    if isinstance(inspect.getattr_static(cls, method), (staticmethod, classmethod)):
        return found
    bound: Callable[..., Any] = found.__get__(object())
    return bound


def set_up(entry: Entry, wait: Callable[[Any], Any]) -> Callable[..., Any]:
    """Make the predictor and run its `setup`, if it has one; return what runs a prediction.

    Args:
        entry: the predictor.
        wait: runs an awaitable to its end, for an asynchronous setup.

    Raises:
        BaseException: whatever the model's own code raises.
    """
    if entry.method is None:
        function: Callable[..., Any] = entry.target
        return function
    predictor = entry.target()
    setup = getattr(predictor, "setup", None)
    if setup is not None:
        result = setup(**_weights(setup))
        if inspect.isawaitable(result):
            wait(result)
    run: Callable[..., Any] = getattr(predictor, entry.method)
    return run


def _weights(setup: Callable[..., Any]) -> dict[str, Any]:
    """Give a setup that takes `weights` what Cog gives it: $COG_WEIGHTS, else ./weights, else None.

    Raises:
        LoadError: they are not of the kind that the parameter's type says.
    """
    parameter = inspect.signature(setup).parameters.get("weights")
    if parameter is None:
        return {}
    given = os.environ.get("COG_WEIGHTS") or ("weights" if os.path.exists("weights") else None)  # noqa: PTH110
    if given is None:
        return {"weights": None} if parameter.default is inspect.Parameter.empty else {}
    annotation = parameters.type_of(setup, "weights")
    if annotation is str:
        return {"weights": given}
    if "://" in given:
        raise LoadError("COG_WEIGHTS is a URL, which only a setup with `weights: str` is given; name a file")
    is_known = parameters.is_path(annotation) or parameters.is_file(annotation)
    return {"weights": as_file(annotation if is_known else pathlib.Path, pathlib.Path(given))}
