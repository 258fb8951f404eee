"""From a prediction's input, which the parent has checked against the schema, to the model's arguments."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import os
import pathlib
import urllib.parse
from typing import Any

from .job import Job
from .parameters import MISSING, Parameter, is_file, is_path, is_secret, list_item, split_optional
from .protocol import FILE_KEY


class InputError(Exception):
    """The prediction can't run on this input; the message is for the one who sent it."""


def arguments(parameters: tuple[Parameter, ...], job: Job) -> dict[str, Any]:
    """Return the keyword arguments for the model; inputs it does not know are dropped.

    Raises:
        InputError: an input is missing, or is not what its parameter's type needs.
    """
    if job.trouble is not None:
        raise InputError(job.trouble)
    given = {}
    for each in parameters:
        if each.name in job.input:
            given[each.name] = _convert(each, job)
        elif each.default is not MISSING:
            given[each.name] = each.default
        elif each.optional:
            given[each.name] = None
        else:
            raise InputError(f"input '{each.name}' is required")
    return given


def _convert(parameter: Parameter, job: Job) -> Any:
    value = job.input[parameter.name]
    if value is None and (parameter.optional or parameter.default is None):
        return None
    try:
        return _typed(parameter.annotation, value, job)
    except ValueError as error:
        raise InputError(f"input '{parameter.name}' {error}") from error
    except OSError as error:
        raise InputError(
            f"input '{parameter.name}' could not be stored: {error.strerror or error}"
        ) from error


def _typed(annotation: Any, value: Any, job: Job) -> Any:
    inner, optional = split_optional(annotation)
    if value is None and optional:
        return None
    if is_path(inner) or is_file(inner):
        return as_file(inner, _received(value, job))
    if is_secret(inner):
        return inner(value)
    item = list_item(inner)
    if item is not MISSING and isinstance(value, list):
        return [_typed(item, each, job) for each in value]
    return _as_number(inner, value)


def _as_number(annotation: Any, value: Any) -> Any:
    """Return `value` as float or int says; to a JSON schema 1 is a number and 1.0 is an integer."""
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if annotation is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def as_file(annotation: Any, path: pathlib.Path) -> Any:
    """Return the file at `path` as a parameter of this type takes it: a path, or open for reading."""
    if is_file(annotation):
        return path.open("rb")
    return path if annotation is os.PathLike else annotation(path)


def _received(value: Any, job: Job) -> pathlib.Path:
    """Return where the file is. A plain string is never taken as a path: it would read the host's files.

    Raises:
        ValueError: it is not a file; the message follows the input's name.
        OSError: it can't be stored.
    """
    if isinstance(value, dict) and set(value) == {FILE_KEY}:
        number = value[FILE_KEY]
        if number not in job.files:
            raise ValueError(f"names file {number}, which did not arrive")
        return job.files[number]
    if isinstance(value, str) and value[:5].lower() == "data:":
        return _from_data_uri(value, job)
    raise ValueError("must be a file: give an http(s) URL or a data: URI")


def _from_data_uri(uri: str, job: Job) -> pathlib.Path:
    """Decode an RFC 2397 URI into a file, named after its media type as Cog does."""
    head, comma, body = uri[5:].partition(",")
    if not comma:
        raise ValueError("is a malformed data: URI: it has no comma")
    media_type, *options = (part.strip().lower() for part in head.split(";"))
    data = urllib.parse.unquote_to_bytes(body)
    if "base64" in options:
        data = _decode_base64(data)
    path = job.place("file" + (mimetypes.guess_extension(media_type or "text/plain") or ""))
    path.write_bytes(data)
    return path


def _decode_base64(data: bytes) -> bytes:
    """Decode as browsers do: white space and missing padding are allowed, other characters are not."""
    packed = b"".join(data.split()).rstrip(b"=")
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"is a malformed data: URI: {error}") from error
