"""The child's main thread: guard, load, set up, then one prediction (or training) after the other."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from . import guard, loader, logs
from .channel import Channel
from .execute import Loop, Predictor
from .loader import Entry
from .parameters import LoadError
from .protocol import Load, Loaded, LoadFailed, Ready, SetupFailed, Shutdown, encode

_NO_COG = (
    "; install cog in the model's Python: python -m venv V && V/bin/pip install cog, then"
    ' python = "V/bin/python" in the configuration'
)


def main(control_fd: int, lifeline_fd: int) -> None:
    """Be the runner; `ringback.runner.command` says what the descriptors are. Ends with the process.

    Exit status: 0 after Shutdown or when the parent is gone, 1 when the model can't be loaded or set up.
    """
    guard.start(lifeline_fd)
    for each in (signal.SIGINT, signal.SIGUSR1):  # Ctrl-C in the terminal is the parent's to act on
        signal.signal(each, _ignore)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - sys.path holds strings
    logs.prepare()
    channel = Channel(control_fd)
    channel.start()
    order = channel.orders.get()
    if isinstance(order, Load):
        _host(order, channel)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing, but not as SIG_IGN: the programs that the model starts would inherit that."""


def _host(order: Load, channel: Channel) -> None:
    loop = Loop()
    sys.argv = [order.entry.partition(":")[0]]  # a model that parses arguments must not get the runner's
    try:
        entry = loader.load(order.entry, order.mode)
        loaded = encode(Loaded(entry.schema))
    except BaseException as error:
        _fail(channel, order, LoadFailed, error)
    channel.send(loaded)
    predictor = _set_up(entry, order, channel, loop)
    logs.mark(order.marker)
    channel.send(encode(Ready()))
    while True:
        job = channel.orders.get()
        if isinstance(job, Shutdown):
            return
        if not isinstance(job, Load):
            predictor.run(job)


def _set_up(entry: Entry, order: Load, channel: Channel, loop: Loop) -> Predictor:
    try:
        function = loader.set_up(entry, loop.complete)
    except BaseException as error:
        _fail(channel, order, SetupFailed, error)
    return Predictor(function, entry.parameters, channel, loop, order.marker)


def _next_step(error: BaseException) -> str:
    is_cog = isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == "cog"
    return _NO_COG if is_cog else ""


def _fail(channel: Channel, order: Load, failure: Callable[[str], Any], error: BaseException) -> NoReturn:
    """Tell why the model can't be hosted, and end: at once, since it may have left threads that never end."""
    logs.report(error)
    line = str(error) if isinstance(error, LoadError) else logs.one_line(error) + _next_step(error)
    logs.mark(order.marker)
    channel.send(encode(failure(line)))
    os._exit(1)
