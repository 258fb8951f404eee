"""What a large backlog for a dead endpoint costs the others: one run, as in bench/rows.py."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.faults import latencies
from bench.load import PACE, Check, Sample, body_of, checked, create, patience, settled, warmed
from bench.processes import FAULTS, Receiver, Server, data_folder, module, receiving, result_of, serving
from bench.receiver import Receipt

TURN = 250
"""Events that one server sends before it is the other's turn."""


class Side:
    """One of the two servers that are compared; it rests while the other is measured."""

    def __init__(self, server: Server, receiver: Receiver) -> None:
        self._body = body_of("clock", receiver.url)
        self._receiver = receiver
        self.server = server
        self.secret = warmed(server, receiver, self._body)
        self.receipts: list[Receipt] = []
        self.check = Check()
        server.pause()

    def turn(self, events: int) -> list[Receipt]:
        """Send so many at the pace; give what came."""
        self.server.resume()
        made = create(self.server, self._body, events, PACE)
        self._receiver.until(events, patience(events))
        report = self._receiver.report(self.secret)
        self.server.pause()
        self.check += checked(made.ids, report)
        return report.receipts

    def count(self, events: int) -> None:
        """Take a turn that counts."""
        self.receipts += self.turn(events)


def backlog(command: Sequence[str], events: int, *, waiting: int) -> Sample:
    """Two servers by turns: `waiting` deliveries wait for an endpoint that refuses connections, or none."""
    with data_folder() as folder, receiving(down=True) as dead, receiving() as receiver:
        result_of(module("owed", str(folder / "full"), str(waiting), dead.url), list[str])
        with (
            _side(command, folder / "full", receiver) as full,
            _side(command, folder / "empty", receiver) as empty,
        ):
            sides = (empty, full)
            for side in sides:
                side.turn(TURN)  # does not count: what is done once is done now
            for _ in range(max(1, events // TURN)):
                for side in sides:
                    side.count(min(TURN, events))
                sides = sides[::-1]  # whatever it is worth to come second, both have it
            memory = {side: side.server.memory_mb() for side in sides}
        check = full.check + empty.check + settled(folder / "full", receiver.url) + settled(folder / "empty")
    return Sample(_figures(empty, full, memory), check)


@contextmanager
def _side(command: Sequence[str], data: Path, receiver: Receiver) -> Iterator[Side]:
    with serving(command, data, "clock", mute=FAULTS) as server:
        side = Side(server, receiver)
        yield side
        server.resume()
        server.stop()


def _figures(empty: Side, full: Side, memory: dict[Side, float]) -> dict[str, float]:
    without, beside = latencies(empty.receipts), latencies(full.receipts)
    return {
        **{f"{what}, none waiting": value for what, value in without.items()},
        **{f"{what}, beside them": value for what, value in beside.items()},
        "p50 ratio": beside["p50 ms"] / without["p50 ms"],
        "p99 ratio": beside["p99 ms"] / without["p99 ms"],
        "MB, none waiting": memory[empty],
        "MB, beside them": memory[full],
        "extra MB": memory[full] - memory[empty],
    }
