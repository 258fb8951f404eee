"""Turning tables of TOML into settings, each checked by name and type."""

import difflib
from collections.abc import Iterable
from dataclasses import fields
from ipaddress import ip_network
from math import isfinite
from typing import Any, get_args, get_origin

from ringback.rules.url import redacted
from ringback.words.errors import SetupError

Rule = tuple[object, str]
"""What must hold, and what to say of it if it doesn't."""


def known(table: dict[str, Any], names: list[str], where: str) -> None:
    """Check that a table has no other keys than these.

    Raises:
        SetupError: it has one; names the nearest that there is.
    """
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.0)
            raise SetupError(f"{where}: there is no setting {key!r}; the nearest is {near[0]!r}")


def section(kind: type, table: Any, where: str) -> Any:
    """Make a section of its dataclass `kind`.

    Raises:
        SetupError: a key is not known, or its value is of another type.
    """
    if not isinstance(table, dict):
        raise SetupError(f"{where}: expected a table")
    types = {each.name: each.type for each in fields(kind)}
    known(table, list(types), where)
    for key, value in table.items():
        _typed(types[key], value, f"{where}.{key}")
    return kind(**table)


def sections(kind: type, tables: Any, where: str) -> dict[str, Any]:
    """Make sections by the names of their tables, such as `[hardware.gpu]`.

    Raises:
        SetupError: as `section`.
    """
    if not isinstance(tables, dict):
        raise SetupError(f"{where}: expected tables")
    return {name: section(kind, table, f"{where}.{name}") for name, table in tables.items()}


def _typed(kind: Any, value: Any, where: str) -> None:
    if get_origin(kind) is dict:
        _tables_of_text(value, where)
        return
    if kind is float:
        # TOML knows inf and nan; no time is either.
        fits = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    elif get_args(kind):
        fits = isinstance(value, list) and all(isinstance(item, get_args(kind)[0]) for item in value)
    else:
        fits = type(value) is kind
    if not fits:
        name = "a list of strings" if get_args(kind) else kind.__name__
        raise SetupError(f"{where}: expected {name}, not {value!r}")


def _tables_of_text(value: Any, where: str) -> None:
    """Check tables of strings by name. What is wrong is not repeated: it may be a secret."""
    for name, table in value.items() if isinstance(value, dict) else [("", None)]:
        inner = f'{where}."{redacted(name)}"' if name else where
        if not isinstance(table, dict):
            raise SetupError(f"{inner}: expected a table")
        for key, text in table.items():
            if not isinstance(text, str):
                raise SetupError(f"{inner}.{key!r}: expected a string")


def is_network(text: str) -> bool:
    """Say whether this is a network such as 10.1.0.0/16, or an address."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def must_hold(rules: Iterable[Rule], where: str) -> None:
    """Check rules in order.

    Raises:
        SetupError: the first that does not hold, in its own words.
    """
    for holds, message in rules:
        if not holds:
            raise SetupError(f"{where}: {message}")
