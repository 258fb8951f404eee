"""The control socket: the main thread sends; a reader thread receives, and leaves orders for the main one."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from queue import SimpleQueue

from .job import Job
from .protocol import Cancel, Decoder, InputFile, Load, Message, ProtocolError, Run, Shutdown

_RECEIVE = 256 * 1024


class Channel:
    """Frames to and from the parent. `orders` is what the main thread has to do, in order."""

    def __init__(self, control_fd: int) -> None:
        self._socket = socket.socket(fileno=control_fd)
        self._socket.set_inheritable(False)  # what the model starts has no business on it
        self._socket.settimeout(None)
        self._owner = os.getpid()
        self._staged: Job | None = None
        self._ordered: dict[str, Job] = {}
        self.orders: SimpleQueue[Load | Job | Shutdown] = SimpleQueue()

    def start(self) -> None:
        """Start the reader thread."""
        threading.Thread(target=self._read, name="ringback-control", daemon=True).start()

    def send(self, frames: bytes) -> None:
        """Send encoded frames. Without a parent to take them the process ends here."""
        self.stop_if_forked()
        try:
            self._socket.sendall(frames)
        except OSError:
            self._leave(0)

    def forget(self, job: Job) -> None:
        """Take note that `job` is over: a Cancel of it that is still on its way means nothing."""
        self._ordered.pop(job.id, None)

    def stop_if_forked(self) -> None:
        """End this process if it is a copy that the model made with `os.fork` and let return."""
        if os.getpid() != self._owner:
            os._exit(0)

    def _read(self) -> None:
        decoder = Decoder()
        try:
            while data := self._socket.recv(_RECEIVE):
                for message, payload in decoder.feed(data):
                    self._take(message, payload)
        except OSError:  # a reset is an end too
            pass
        except ProtocolError as error:
            with contextlib.suppress(OSError):
                os.write(2, f"the runner was sent something it can't read: {error}\n".encode())
            self._leave(1)
        self._leave(0)

    def _take(self, message: Message, payload: bytes) -> None:
        if isinstance(message, InputFile):
            self._stage(message.id).store(message.file, message.name, payload)
        elif isinstance(message, Run):
            job = self._stage(message.id)
            job.input = message.input
            self._staged, self._ordered[job.id] = None, job
            self.orders.put(job)
        elif isinstance(message, Cancel):
            ordered = self._ordered.get(message.id)
            if ordered is not None:
                ordered.cancel()
        elif isinstance(message, (Load, Shutdown)):
            self.orders.put(message)
        else:
            raise ProtocolError(f"{type(message).__name__} goes the other way")

    def _stage(self, prediction_id: str) -> Job:
        """Return the job that is being put together; one of another id was given up by the parent."""
        if self._staged is not None and self._staged.id != prediction_id:
            self._staged.discard()
            self._staged = None
        if self._staged is None:
            self._staged = Job(prediction_id)
        return self._staged

    def _leave(self, status: int) -> None:
        """End the process at once: nobody is left to report to, and the model's threads may never end."""
        for job in (self._staged, *self._ordered.values()):
            if job is not None:
                job.discard()
        os._exit(status)
