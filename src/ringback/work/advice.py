"""What a model's source says that its schema can't: advice for its author, as lines of the log.

Recent versions of Cog make no difference between `Input()` and `Input(default=None)`: only the source shows
that a default of None was meant.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ringback.work.model import Model

_METHODS = {"Input": ("run", "predict"), "TrainingInput": ("train",)}


def advice(model: Model, document: dict[str, Any]) -> list[str]:
    """Give a line for each input that is required although its default is written as None.

    Args:
        model: as read from its folder.
        document: the version's OpenAPI document.
    """
    schemas = document["components"]["schemas"]
    return [
        f"parameter '{name}' has default None but no `| None`: it is required; write `{kind} | None`"
        for entry, component in ((model.entry, "Input"), (model.train, "TrainingInput"))
        for name, kind in _meant_optional(model.folder, entry, _METHODS[component])
        if name in schemas.get(component, {}).get("required", [])
    ]


def _meant_optional(folder: Path, entry: str, methods: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Give the parameters with the default `Input(default=None)`, and their types as they are written."""
    file, _, name = entry.partition(":")
    try:
        tree = ast.parse((folder / file).read_bytes())
    except (OSError, SyntaxError, ValueError):  # gone, or of a newer Python than ours
        return
    for function in _functions(tree.body, name, methods):
        given = function.args
        named = [*given.posonlyargs, *given.args]
        defaults = [*zip(named[::-1], given.defaults[::-1], strict=False)][::-1]
        for parameter, default in [*defaults, *zip(given.kwonlyargs, given.kw_defaults, strict=True)]:
            if parameter.annotation is not None and _is_none(default):
                yield parameter.arg, ast.unparse(parameter.annotation)


def _functions(
    body: list[ast.stmt], name: str, methods: tuple[str, ...]
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for each in body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == name:
            yield each
        elif isinstance(each, ast.ClassDef) and each.name == name:
            for method in methods:
                yield from _functions(each.body, method, ())


def _is_none(default: ast.expr | None) -> bool:
    """Say whether it is `Input(None)` or `Input(default=None)`, by whatever name."""
    if not isinstance(default, ast.Call):
        return False
    named = [each.value for each in default.keywords if each.arg == "default"]
    return any(isinstance(each, ast.Constant) and each.value is None for each in [*default.args[:1], *named])
