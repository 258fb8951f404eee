"""What the demo shows: a few aligned lines, in colour on a terminal, plain elsewhere."""

from datetime import datetime

from rich.console import Console
from rich.markup import escape

from demo.processes import Heard

VERDICTS = {200: ("green", "verified"), 401: ("red", "refused"), 503: ("yellow", "not ready")}


class Screen:
    """Prints lines as things happen."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        can_tick = self._console.encoding.lower().startswith("utf")
        self._yes, self._no = ("✓", "✗") if can_tick else ("+", "-")

    def line(self, text: str = "") -> None:
        """Print a line of markup, however long: URLs are to be clicked and commands to be pasted."""
        self._console.print(text, soft_wrap=True)

    def title(self, text: str) -> None:
        """Begin a scene."""
        self.line(f"\n[bold]{escape(text)}[/]")

    def fact(self, name: str, text: str) -> None:
        """Print a name and what there is to say about it."""
        self.line(f"  [dim]{name:<10}[/] {escape(text)}")

    def text(self, text: str) -> None:
        """Print text as it is, without an indent."""
        self.line(escape(text))

    def event(self, heard: Heard, note: str = "") -> None:
        """Print a request that came: seconds since its prediction was made, event, verdict, latency, note."""
        since = heard.at - _ms(heard.prediction["created_at"])
        style, verdict = VERDICTS.get(heard.status, ("red", f"answered {heard.status}"))
        mark = self._yes if heard.status == 200 else self._no
        late = latency(heard)
        shown = "" if late is None else f"{late:.1f} ms" if late < 100 else f"{late / 1000:.2f} s"
        self.line(
            f"  {since / 1000:6.2f} s   {heard.event:<10} [{style}]{mark} {verdict:<10}[/]"
            f" [cyan]{shown:>8}[/]   {escape(note)}".rstrip()
        )

    def columns(self) -> None:
        """Print what the columns of `event` are."""
        self.line(f"  [dim]{'after':>8}   {'event':<10} {'signature':<12} {'latency':>8}[/]")

    def check(self, what: str, *, seen: bool) -> None:
        """Print whether something was seen."""
        style, mark = ("green", self._yes) if seen else ("red", self._no)
        self.line(f"  [{style}]{mark}[/] {escape(what)}{'' if seen else '  [red](not seen)[/]'}")

    def trouble(self, text: str) -> None:
        """Print what went wrong."""
        self.line(f"\n  [red]{escape(text)}[/]")


def latency(heard: Heard) -> float | None:
    """Give the milliseconds from the event to the receiver; None where a snapshot can't tell them."""
    moment = {"start": "started_at", "completed": "completed_at"}.get(heard.event)
    return None if moment is None else heard.at - _ms(heard.prediction[moment])


def _ms(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp() * 1000
