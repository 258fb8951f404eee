"""`ringback`, with a hook before each commit: once armed, it reports the pending change and waits.

The test holds the other end of the socket named in RINGBACK_TEST_HOOK (a descriptor): it sends `a` to arm,
gets the number of pending units, and answers `g` to let the commit go on, or kills this process instead.
"""

import os
import socket

from ringback.assembly import cli
from ringback.assembly.serve import World

_hook = socket.socket(fileno=int(os.environ["RINGBACK_TEST_HOOK"]))
_armed = False


def before_commit(units: int) -> None:
    global _armed  # noqa: PLW0603 - the writer's thread alone touches it
    if not _armed:
        try:
            _armed = _hook.recv(1, socket.MSG_DONTWAIT) == b"a"
        except BlockingIOError:
            return
    if _armed:
        _hook.sendall(f"{units}\n".encode())
        _armed = False
        _hook.recv(1)


if __name__ == "__main__":
    cli.main(World(token=os.environ["REPLICATE_API_TOKEN"], before_commit=before_commit))
