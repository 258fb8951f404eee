"""The result: a table for a person, and one JSON line for comparisons."""

from dataclasses import dataclass

import msgspec

from bench.load import Check
from bench.machine import Machine

_SYNCHRONOUS = {"0": "OFF", "1": "NORMAL", "2": "FULL", "3": "EXTRA"}


@dataclass(frozen=True, slots=True)
class Row:
    """A measured row: the median of its runs, their spread, and whether the runs can be trusted."""

    name: str
    runs: int
    events: int
    medians: dict[str, float]
    spans: dict[str, tuple[float, float]]
    check: Check


def table(machine: Machine, rows: list[Row]) -> str:
    """Give the table."""
    p50, p99 = machine.fdatasync_ms
    pragmas = {**machine.pragmas, "synchronous": _SYNCHRONOUS[machine.pragmas["synchronous"]]}
    head = [
        f"{machine.commit} on {machine.processor}, {machine.cores} cores, load {machine.load:.2f}",
        f"{machine.system}, Python {machine.python}, SQLite {machine.sqlite}",
        f"data folder: fdatasync p50 {p50:.3f} ms, p99 {p99:.3f} ms",
        "PRAGMAs: " + ", ".join(f"{name} {value}" for name, value in pragmas.items()),
        "",
        f"{'row':<29}{'figure':<26}{'median':>12}{'least':>12}{'most':>12}",
    ]
    return "\n".join([*head, *(line for row in rows for line in _lines(row))])


def _lines(row: Row) -> list[str]:
    figures = [
        f"{'' if at else row.name:<29}{what:<26}{median:>12}{least:>12}{most:>12}"
        for at, (what, median, least, most) in enumerate(
            (what, _shown(row.medians[what]), *map(_shown, row.spans[what])) for what in row.medians
        )
    ]
    bad, missing, duplicate = row.check.bad, row.check.missing, row.check.duplicate
    checked = f"{row.runs} x {row.events} events: {bad} bad, {missing} missing, {duplicate} duplicate"
    return [*figures, f"{'':<29}{checked}"]


def _shown(value: float) -> str:
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"


def document(machine: Machine, rows: list[Row]) -> str:
    """Give everything as one line of JSON."""
    return msgspec.json.encode({"machine": machine, "rows": rows}).decode()
