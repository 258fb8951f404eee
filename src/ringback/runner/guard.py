"""The guard: a tiny process that kills the runner's whole process group when the parent is gone.

PR_SET_PDEATHSIG is not enough: it fires when the parent's *thread* ends, and does not reach what the
model has started. A process that leaves the group by a session of its own is out of the guard's reach.
"""

from __future__ import annotations

import contextlib
import os
import signal


def start(lifeline_fd: int) -> None:
    """Fork the guard, which holds `lifeline_fd` from now on; the caller's copy is closed.

    To be called before anything starts a thread. The caller becomes the leader of a process group if it is
    not one yet: the guard must never kill the parent's.
    """
    if os.getpgrp() != os.getpid():
        os.setsid()
    middle = os.fork()
    if middle == 0:
        # Forked twice, so that a model that waits for all its children does not wait for the guard.
        if os.fork() == 0:
            _watch(lifeline_fd)
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(lifeline_fd)


def _watch(lifeline_fd: int) -> None:
    """Wait for the end of the lifeline, then kill the group, this process included."""
    try:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(each, signal.SIG_IGN)
        _close_all_but(lifeline_fd)
        while os.read(lifeline_fd, 1):
            pass
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _close_all_but(kept: int) -> None:
    """Close every descriptor but one: a guard that held the log pipe would keep it from ending."""
    try:
        held = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - names is what it needs
    except OSError:
        held = list(range(256))
    for each in held:
        if each != kept:
            with contextlib.suppress(OSError):
                os.close(each)
