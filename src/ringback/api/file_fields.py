"""What the parts of a form that sends a file mean.

The three clients write the same in three ways: name and media type as headers of the file's part or as
fields of their own; metadata as a field of JSON, as a part with a file name, or as `metadata[key]` fields.
"""

import re
from dataclasses import dataclass
from typing import Any

from ringback.api.form import Part, text
from ringback.blobs.store import Sums
from ringback.rules.schema import invalid_input
from ringback.words import json
from ringback.words.errors import InvalidField

_KNOWN = frozenset({"filename", "type", "metadata"})
_LONGEST_NAME = 255
"""Bytes (replicate.com/docs/reference/http#files.create)."""

_LONGEST_TYPE = 255
_MANY = 20
_SHOWN = 100
_NO_TYPE = "application/octet-stream"
_NO_NAME = "file"
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+( *;[ -~]*)?")
_BRACKETS = re.compile(r"metadata((?:\[[^\[\]]*\]){1,5})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Described:
    """What a file is called, what it is, and what its sender notes about it (canonical JSON)."""

    name: str
    content_type: str
    metadata: str


def describe(fields: list[tuple[Part, bytes]], large: tuple[Part, Sums] | None) -> Described:
    """Put together what the parts say.

    Raises:
        Invalid: with each fault.
    """
    faults: list[InvalidField] = []
    if large is None:
        faults.append(InvalidField("required", "", "content is required"))
    given: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    for part, content in fields:
        brackets = _BRACKETS.fullmatch(part.name)
        if brackets is not None:
            _place(metadata, re.findall(r"\[([^\[\]]*)\]", brackets[1]), text(part.name, content), faults)
        elif part.name not in _KNOWN:
            told = f"Additional property {part.name[:_SHOWN]} is not allowed"
            faults.append(InvalidField("additional_property_not_allowed", "", told))
        elif part.name in given:
            faults.append(InvalidField("array_max_items", part.name, f"There may be only one {part.name}"))
        else:
            given[part.name] = text(part.name, content)
    part = Part("content", None, "") if large is None else large[0]
    name = _name(given.get("filename", part.filename), faults)
    content_type = _type(given.get("type"), part.content_type, faults)
    noted = _metadata(given.get("metadata"), metadata, faults)
    if faults:
        raise invalid_input(tuple(faults[:_MANY]))
    return Described(name, content_type, noted)


def _name(given: str | None, faults: list[InvalidField]) -> str:
    # A path is not a part of a file's name (RFC 7578, 4.2).
    name = (given or "").replace("\\", "/").rpartition("/")[2]
    if len(name.encode()) > _LONGEST_NAME:
        told = f"Must be at most {_LONGEST_NAME} bytes of UTF-8"
        faults.append(InvalidField("string_lte", "filename", told))
    if _CONTROL.search(name):
        faults.append(InvalidField("format", "filename", "Must be without control characters"))
    return _NO_NAME if name in ("", ".", "..") else name


def _type(field: str | None, header: str, faults: list[InvalidField]) -> str:
    """Take the field before the part's header; a header that is none is what browsers make of no type."""
    given = field or (header if _is_type(header) else _NO_TYPE)
    if not _is_type(given):
        faults.append(InvalidField("format", "type", "Must be a media type such as image/png"))
    return given


def _is_type(value: str) -> bool:
    return len(value) <= _LONGEST_TYPE and _TYPE.fullmatch(value) is not None


def _metadata(given: str | None, placed: dict[str, Any], faults: list[InvalidField]) -> str:
    try:
        value = json.decode(given.encode()) if given else {}
        if isinstance(value, dict):
            return json.canonical(value | placed).decode()
    except ValueError as error:
        faults.append(InvalidField("format", "metadata", f"Must be JSON: {error}"))
    else:
        faults.append(InvalidField("invalid_type", "metadata", "Invalid type. Expected: object"))
    return "{}"


def _place(into: dict[str, Any], steps: list[str], value: str, faults: list[InvalidField]) -> None:
    """Set what `metadata[a][b]=value` says; `[]` is the next of a list, as the clients write one."""
    *way, last = steps
    if last == "" and way:
        found = _descend(into, way[:-1])
        items = None if found is None else found.setdefault(way[-1], [])
        if isinstance(items, list):
            items.append(value)
            return
    else:
        found = _descend(into, way)
        if found is not None and last not in found:
            found[last] = value
            return
    faults.append(InvalidField("invalid_type", "metadata", "A key is given twice, or in two ways"))


def _descend(into: dict[str, Any], way: list[str]) -> dict[str, Any] | None:
    for step in way:
        inner = into.setdefault(step, {})
        if not isinstance(inner, dict):
            return None
        into = inner
    return into
