"""From what the model returns or yields to JSON, with its files sent beside it.

numpy, torch and pydantic are known by the shape of their objects: the runner imports none of them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import io
import math
import os
import stat
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from .protocol import FILE_KEY

SendFile = Callable[[BinaryIO, str], int]


class OutputError(Exception):
    """The model's output can't be sent; the message is for the model's author."""


def pack(value: Any, send_file: SendFile) -> Any:
    """Return `value` as JSON values, each file in it replaced by `{"$ringback_file": n}`.

    Args:
        value: what the model returned.
        send_file: sends an open file under a name and returns its number.

    Raises:
        OutputError: a value is not JSON, or a file can't be read.
    """
    try:
        return _pack(value, send_file)
    except RecursionError as error:
        raise OutputError("output is nested too deeply, or contains itself") from error


def _pack(value: Any, send_file: SendFile) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, enum.Enum):  # before str and int, which an Enum may be as well
        return _pack(value.value, send_file)
    if isinstance(value, (str, int, float)):
        return _pack_scalar(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_pack(each, send_file) for each in value]
    if isinstance(value, Mapping):
        return _pack_mapping(value, send_file)
    return _pack_object(value, send_file)


def _pack_scalar(value: Any) -> str | float:
    """Return a subclass's value (numpy.float64 is a float) as the plain type."""
    if isinstance(value, str):
        return str.__str__(value)
    return _finite(value) if isinstance(value, float) else int(value)


def _pack_mapping(value: Mapping[Any, Any], send_file: SendFile) -> dict[str, Any]:
    packed = {_key(key): _pack(each, send_file) for key, each in value.items()}
    if FILE_KEY in packed:
        raise OutputError(f"output uses the reserved key {FILE_KEY}")
    return packed


def _key(key: Any) -> str:
    """Return a key as JSON has it: Python's own json does the same for these types."""
    key = key.value if isinstance(key, enum.Enum) else key
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, (int, float)):
        return repr(_finite(key)) if isinstance(key, float) else str(int(key))
    raise OutputError(f"output has a dict key of type {type(key).__name__}; JSON's keys are strings")


def _finite(value: float) -> float:
    if math.isfinite(value):
        return float(value)
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    raise OutputError(f"output contains {name}, which JSON can't carry")


def _pack_object(value: Any, send_file: SendFile) -> Any:
    if isinstance(value, os.PathLike):
        return _pack_path(value, send_file)
    if isinstance(value, io.IOBase):
        return _pack_open_file(value, send_file)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _pack(getattr(value, each.name), send_file) for each in dataclasses.fields(value)}
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    # In this order: numpy's scalars have both of the last two, and tolist suits scalars and arrays alike.
    for method in ("model_dump", "tolist", "item"):
        convert = getattr(value, method, None)
        if callable(convert) and not isinstance(value, type):
            return _pack(convert(), send_file)
    raise OutputError(f"output of type {type(value).__name__} is not JSON; return plain values or a Path")


def _pack_path(value: os.PathLike[str], send_file: SendFile) -> dict[str, int]:
    path = os.fsdecode(value)
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a PathLike is not always a Path
        if stat.S_ISDIR(mode):
            raise OutputError(f"output {path} is a directory; return a file (an archive of it, say)")
        if not stat.S_ISREG(mode):  # a FIFO would block for ever
            raise OutputError(f"output {path} is not a regular file")
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return {FILE_KEY: send_file(file, os.path.basename(path))}  # noqa: PTH119 - as above
    except FileNotFoundError as error:
        raise OutputError(f"output file {path} does not exist") from error
    except (OSError, ValueError) as error:
        raise OutputError(f"output file {path} can't be read: {getattr(error, 'strerror', error)}") from error


def _pack_open_file(value: Any, send_file: SendFile) -> dict[str, int]:
    name = getattr(value, "name", "")
    binary = value.buffer if isinstance(value, io.TextIOWrapper) else value
    if isinstance(binary, io.TextIOBase):
        binary = io.BytesIO(value.read().encode("utf-8", "replace"))
    try:
        return {FILE_KEY: send_file(binary, os.path.basename(name) if isinstance(name, str) else "")}  # noqa: PTH119
    except (OSError, ValueError) as error:
        raise OutputError(f"the output file {name} can't be read: {error}") from error
