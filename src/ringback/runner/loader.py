"""Finds the predictor in the model's folder and makes it ready."""

from __future__ import annotations

import importlib.util
import inspect
import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from . import parameters, schema
from .parameters import LoadError, Parameter

# Base classes that define methods only so that authors override them.
_FRAMEWORKS = ("cog", "coglet")


@dataclass(frozen=True)
class Entry:
    """A predictor that is imported and described, not yet set up.

    Attributes:
        target: the class, or the function itself.
        method: the name of the class's method that runs a prediction; None for a function.
        parameters: its inputs.
        schema: its OpenAPI document.
    """

    target: Any
    method: str | None
    parameters: tuple[Parameter, ...]
    schema: dict[str, Any]


def load(entry: str) -> Entry:
    """Import `entry` ("FILE.py:NAME", relative to the working directory) and describe it.

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
    method = _method(target, file) if inspect.isclass(target) else None
    function = getattr(target, method) if method is not None else target
    found, returns = parameters.read(_without_self(target, method) if method is not None else target)
    return Entry(target, method, found, schema.openapi(found, returns, function))


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


def _method(cls: type, file: str) -> str:
    own = [each for each in cls.__mro__ if each.__module__.partition(".")[0] not in _FRAMEWORKS]
    defined = [name for name in ("run", "predict") if any(name in vars(each) for each in own)]
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


def _weights(setup: Callable[..., Any]) -> dict[str, None]:
    """Older models take the path of trained weights; there are none here, which Cog says with None."""
    weights = inspect.signature(setup).parameters.get("weights")
    return {"weights": None} if weights is not None and weights.default is inspect.Parameter.empty else {}
