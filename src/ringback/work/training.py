"""Trainings: what a model's `train` looks like, and what becomes of what it returns."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringback.runner.protocol import FILE_KEY
from ringback.store.trainings import Result
from ringback.words.json import Raw, canonical
from ringback.work.files import Incoming, Stored
from ringback.work.host import Host
from ringback.work.inputs import InputError, InputFiles, close

log = logging.getLogger(__name__)

_REFERENCE = "#/components/schemas/"
_NAMES = frozenset({"TrainingInput", "TrainingOutput"})
_FETCHED = -1
"""The number of a file that was fetched, among those that the runner sends."""


class NoWeightsError(Exception):
    """What a training returned can't be made a version of; the message is for the model's author."""


async def described(python: str, folder: Path, entry: str, scratch: Path) -> dict[str, Any]:
    """Import what trains a model, in a process of its own, and give its OpenAPI document.

    Raises:
        RunnerError: it can't be imported, described or started.
    """
    host = Host(python, folder, entry, scratch, lambda text: log.debug("[%s] %s", entry, text), mode="train")
    try:
        return await host.loaded
    finally:
        host.kill()
        with contextlib.suppress(asyncio.CancelledError):
            await host.exited


def merged(document: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """Give a version's OpenAPI document with TrainingInput and TrainingOutput beside Input and Output.

    Where the two mean different things by a name, the training's components get names of their own.
    """
    own = document["components"]["schemas"]
    new = training["components"]["schemas"]
    shared = (new.keys() & own.keys()) - _NAMES
    if all(own[name] == new[name] for name in shared):
        shared = set()
    names = {name: _free(name, own.keys() | new.keys()) for name in shared}
    references = {_REFERENCE + name: _REFERENCE + other for name, other in names.items()}
    added = {names.get(name, name): _renamed(schema, references) for name, schema in new.items()}
    return {**document, "components": {**document["components"], "schemas": {**own, **added}}}


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"training_{name}"
    return name


def _renamed(schema: Any, references: dict[str, str]) -> Any:
    if isinstance(schema, list):
        return [_renamed(item, references) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: references.get(value, value)
        if key == "$ref" and isinstance(value, str)
        else _renamed(value, references)
        for key, value in schema.items()
    }


async def made(
    value: Any, incoming: Incoming, files: InputFiles, account: str, url: Callable[[Stored], str]
) -> Result:
    """Give what a training made, its weights among the complete files of `incoming`.

    Args:
        value: what the model returned: the weights, or an object with `weights`; a file or an http(s) URL,
            which is fetched, so that the version depends on nobody else.
        incoming: the files that the runner has sent.
        files: fetches by URL, under the rules for input files.
        account: whose training it is.
        url: gives where a file will be served.

    Raises:
        NoWeightsError: there are none in it.
        OSError: they can't be stored.
    """
    given = value if _is_object(value) else {"weights": value}
    weights = incoming.stored(given.get("weights"))
    if weights is None:
        weights = await _fetched(given.get("weights"), incoming, files, account)
    try:
        more = {
            key: Raw(canonical(incoming.linked(item, url)))
            for key, item in given.items()
            if key not in ("version", "weights")
        }
    except (ValueError, RecursionError) as error:
        raise NoWeightsError(f"the output can't be stored: {error}") from error
    return Result(f"{weights.id}/{weights.name}", url(weights), more)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and set(value) != {FILE_KEY}


async def _fetched(url: Any, incoming: Incoming, files: InputFiles, account: str) -> Stored:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise NoWeightsError("the training returned no weights: return a Path, or an object with `weights`")
    try:
        fetched = await files.fetch({"weights": url}, frozenset({"weights"}), account)
    except InputError as error:
        raise NoWeightsError(f"the weights can't be had: {error}") from error
    try:
        for message, piece in fetched[0].frames(""):
            incoming.piece(_FETCHED, message.name, piece, last=message.last)
            await asyncio.sleep(0)  # others go on between two pieces
    finally:
        close(fetched)
    stored = incoming.stored({FILE_KEY: _FETCHED})
    assert stored is not None  # noqa: S101 - its last piece has just been taken
    return stored
