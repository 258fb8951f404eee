"""Printing what the server told: in columns, legible at 80 columns, one line each where it is piped.

Ids are never cut off. What receivers answered is shown without control characters: a terminal obeys them.
"""

import json
import shutil
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

_WIDE = 160
"""Columns from which on a note stands on the line of what it is about."""

_INDENT = "    "
_STYLES = {
    "delivered": "green",
    "open": "green",
    "acknowledged": "green",
    "pending": "yellow",
    "failing": "yellow",
    "recovering": "yellow",
    "held": "yellow",
    "paused": "magenta",
    "dead": "red",
    "closed": "red",
    "superseded": "dim",
}


class Entry(NamedTuple):
    """A row: its cells, and the longer notes on it."""

    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


def as_json(value: Any) -> None:
    """Print JSON, in ASCII: nothing in it can reach the terminal."""
    Console(soft_wrap=True).print(Text(json.dumps(value, indent=2)))


def say(line: str, style: str = "") -> None:
    """Print a line."""
    Console(soft_wrap=True).print(Text(clean(line), style))


def title(text: str) -> None:
    """Print what begins a part of the output."""
    console = Console(soft_wrap=True)
    console.print()
    console.print(Text(f"{text}:", "bold"))


def table(heads: Sequence[str], entries: Sequence[Entry]) -> None:
    """Print rows in columns; notes behind them if there is room, else below."""
    console = Console(soft_wrap=True)
    columns = shutil.get_terminal_size().columns
    is_wide = not console.is_terminal or columns >= _WIDE
    cells = [tuple(heads), *(tuple(clean(cell) for cell in entry.cells) for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    console.print(_line(cells[0], widths, is_head=True))
    for row, entry in zip(cells[1:], entries, strict=True):
        notes = [clean(note) for note in entry.notes if note]
        line = _line(row, widths)
        if is_wide:
            line.append("".join(f"  {note}" for note in notes))
            notes = []
        console.print(line)
        for note in notes:
            console.print(Text(_folded(note, columns)))


def _line(cells: Sequence[str], widths: Sequence[int], *, is_head: bool = False) -> Text:
    line = Text(style="bold" if is_head else "")
    for cell, width in zip(cells, widths, strict=True):
        line.append(cell, _STYLES.get(cell, ""))
        line.append(" " * (width - len(cell) + 2))
    line.rstrip()
    return line


def _folded(note: str, columns: int) -> str:
    return textwrap.fill(
        note,
        columns,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def facts(pairs: Sequence[tuple[str, Any]]) -> None:
    """Print names and values, those that are None left out."""
    shown = [(name, str(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    console = Console(soft_wrap=True)
    for name, value in shown:
        line = Text(f"{name.ljust(width)}  ")
        line.append(clean(value), _STYLES.get(value, ""))
        console.print(line)


def block(heading: str, text: str, longest: int) -> None:
    """Print a text of several lines under a heading, its first `longest` characters."""
    title(heading)
    console = Console(soft_wrap=True)
    for line in text[:longest].splitlines():
        console.print(Text(_INDENT + clean(line)))
    if len(text) > longest:
        console.print(Text(f"{_INDENT}… {len(text) - longest:,} characters more; --json shows them"))


def clean(text: str) -> str:
    """Give text in which a terminal finds nothing to obey."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def age(at: str | None, now: datetime | None = None) -> str:
    """Say how long ago a time (RFC 3339) was, or how long it is until then: `3 h`, `in 5 s`."""
    if at is None:
        return "-"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(at)).total_seconds()
    return span(seconds) if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """Give a duration in its largest unit that fits."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
