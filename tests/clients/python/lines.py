"""A Python client in an environment of its own, asked line by line.

Each line of standard input is a JSON object {"do": name, ...}; it is answered with {"answer": ...} or
{"error": {"name", "message", ...}}. What JSON can't say is written {"$bytes": base64, "name"} (an open file),
{"$raw": base64}, {"$path": "..."}, {"$tuple": [...]}, and read back as {"$file_output": base64, "url"} and
{"$items": [...]} (an iterator).
"""

import asyncio
import base64
import inspect
import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Answer = Callable[..., Any]
SHOWN_OF_ERRORS = ("status", "title", "detail", "status_code")


def revived(value: Any) -> Any:
    """Give what a value read from JSON stands for."""
    if isinstance(value, list):
        return [revived(item) for item in value]
    if not isinstance(value, dict):
        return value
    for mark, made in _WRITTEN.items():
        if mark in value:
            return made(value)
    return {name: revived(item) for name, item in value.items()}


def _file(written: dict[str, str]) -> io.BytesIO:
    file = io.BytesIO(base64.b64decode(written["$bytes"]))
    file.name = written["name"]
    return file


_WRITTEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "$bytes": _file,
    "$raw": lambda written: base64.b64decode(written["$raw"]),
    "$path": lambda written: Path(written["$path"]),
    "$tuple": lambda written: tuple(revived(written["$tuple"])),
}


async def shown(value: Any, awaited: bool) -> Any:
    """Give a value as JSON can say it; files are read, iterators gone through, with or without `await`."""
    if hasattr(value, "__anext__"):
        return {"$items": [await shown(item, awaited) async for item in value]}
    if hasattr(value, "__next__"):
        return {"$items": [await shown(item, awaited) for item in value]}
    if type(value).__name__ in {"FileOutput", "AsyncFileOutput"}:
        read = getattr(value, "aread", value.read) if awaited else value.read
        data = await read() if awaited else read()
        return {"$file_output": base64.b64encode(data).decode(), "url": value.url}
    if isinstance(value, Mapping):
        return {name: await shown(item, awaited) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [await shown(item, awaited) for item in value]
    return value


def found(start: Any, path: str) -> Any:
    """Follow attributes."""
    for name in path.split("."):
        start = getattr(start, name)
    return start


def _told(error: Exception) -> dict[str, Any]:
    more = {name: getattr(error, name) for name in SHOWN_OF_ERRORS if hasattr(error, name)}
    return {"name": type(error).__name__, "message": str(error), **more}


def answer_lines(answers: Mapping[str, Answer]) -> None:
    """Answer until standard input ends; all coroutines run in one event loop."""
    with asyncio.Runner() as runner:

        async def given(answer: Answer, asked: dict[str, Any]) -> Any:
            result = answer(**asked)
            return await result if inspect.isawaitable(result) else result

        for line in sys.stdin:
            asked = json.loads(line)
            try:
                reply = {"answer": runner.run(given(answers[asked.pop("do")], asked))}
            except Exception as error:
                reply = {"error": _told(error)}
            print(json.dumps(reply, default=str), flush=True)
