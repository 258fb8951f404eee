"""The log stream: whatever the model, its libraries and its subprocesses write to descriptors 1 and 2.

Both are one pipe. A mark in the stream itself (NUL, the marker, NUL) ends the part that belongs to setup
or to one prediction; an end of file would not do, since whatever the model started keeps the pipe open.
"""

from __future__ import annotations

import asyncio
import contextlib
import linecache
import os
import pathlib
import sys
import traceback
from types import TracebackType
from typing import Any

_OWN_FOLDER = str(pathlib.Path(__file__).resolve().parent)
_GO_BETWEENS = ("<frozen importlib", str(pathlib.Path(asyncio.__file__).parent))
_MODEL_FOLDER = pathlib.Path.cwd()  # read at the start: a model may change its directory
_LINE_BUFFERED = 1  # _IOLBF of <stdio.h>, on glibc, musl and macOS alike
_ERROR_LIMIT = 64 * 1024
_descriptors = [1, 2]  # where the pipe is, the surest first; `prepare` puts one there that no model knows of


def prepare() -> None:
    """Make Python's streams, and C's stdout, line buffered: a pipe would get blocks of 8 KiB.

    To be called once, before the model's code: it may put something else in the place of descriptors 1 and 2,
    and whatever it does the marks must go to the pipe.
    """
    _descriptors.insert(0, os.dup(1))  # not inheritable: what the model starts doesn't get it
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=False)
    if _LIBC is not None:
        _LIBC.setvbuf(_C_STDOUT, None, _LINE_BUFFERED, 0)


def mark(marker: str) -> None:
    """Flush what the model left in buffers, then write the mark, whatever it did to its streams."""
    _flush()
    _write(b"\x00" + marker.encode() + b"\x00")


def _write(data: bytes) -> None:
    for descriptor in _descriptors:
        with contextlib.suppress(OSError):
            os.set_blocking(descriptor, True)  # some programs (Node) make a pipe they are given non-blocking
            while data:
                data = data[os.write(descriptor, data) :]
            return


def report(error: BaseException) -> None:
    """Write the traceback of `error`, from the model's own frames on, to the log stream."""
    try:
        _trim(error)
        linecache.checkcache()
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:
        text = f"{one_line(error)}\n"
    _flush()
    _write(text.encode("utf-8", "backslashreplace"))


def _trim(error: BaseException) -> None:
    """Cut the runner's frames off `error` and the errors it came from, which are printed with it."""
    pending, seen = [error], set()
    while pending:
        each = pending.pop()
        if id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = model_frames(each)
            pending += [other for other in (each.__cause__, each.__context__) if other is not None]


def model_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback of `error` from the model's first frame on.

    Above it are the runner's frames, and importlib's or asyncio's between or after them.
    """
    start = trace = error.__traceback__
    while trace is not None:
        if _is_in(trace, _OWN_FOLDER):
            start = trace.tb_next
        trace = trace.tb_next
    while start is not None and _is_in(start, *_GO_BETWEENS):
        start = start.tb_next
    return start


def _is_in(trace: TracebackType, *places: str) -> bool:
    return trace.tb_frame.f_code.co_filename.startswith(places)


def message(error: BaseException) -> str:
    """Return what `error` says, or its type's name if it says nothing; at most 64 Ki characters."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return text[:_ERROR_LIMIT] or type(error).__name__


def one_line(error: BaseException) -> str:
    """Return `error` as one line with its place: "ImportError: no torch (predict.py, line 3)"."""
    words = " ".join(message(error).split())
    name = type(error).__name__
    text = words if words == name else f"{name}: {words}"
    if isinstance(error, SyntaxError):  # says its place itself
        return text
    place = _place(model_frames(error))
    return f"{text} ({place})" if place else text


def _place(trace: TracebackType | None) -> str | None:
    """Return the innermost place within the model's folder."""
    place = None
    for frame, line in traceback.walk_tb(trace):
        file = pathlib.Path(frame.f_code.co_filename)
        with contextlib.suppress(ValueError):
            place = f"{file.relative_to(_MODEL_FOLDER)}, line {line}"
    return place


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(Exception):  # closed, replaced or None: the model's own business
            stream.flush()  # type: ignore[union-attr]
    if _LIBC is not None:
        _LIBC.fflush(_C_STDOUT)


def _find_libc() -> tuple[Any, Any]:
    try:
        import ctypes  # noqa: PLC0415 - some Pythons are built without it, and then only C's buffer goes unflushed

        libc = ctypes.CDLL(None)
        return libc, ctypes.c_void_p.in_dll(libc, "stdout")
    except (ImportError, OSError, ValueError):
        return None, None


_LIBC, _C_STDOUT = _find_libc()
