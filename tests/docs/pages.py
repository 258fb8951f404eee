"""The documentation as data: its pages, the code blocks that a comment marks, the rows of its tables."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_MARKED = re.compile(r"^<!-- (run|file): ([^>]+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """A fenced block under `<!-- run: what -->` or `<!-- file: path -->`."""

    page: str
    line: int
    mark: str
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(mark: str, what: str = "") -> list[Block]:
    """All marked blocks of a kind, in order; there is at least one."""
    found = [
        Block(page.name, text.count("\n", 0, match.start()) + 1, match[1], match[2], match[3])
        for page in PAGES
        for text in [page.read_text()]
        for match in _MARKED.finditer(text)
        if match[1] == mark and match[2].startswith(what)
    ]
    assert found, f"no page has a block marked {mark}: {what}"
    return found


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one of its level."""
    text = (ROOT / "docs" / page).read_text()
    level, _, _ = heading.partition(" ")
    _, found, rest = f"\n{text}".partition(f"\n{heading}\n")
    assert found, f"{page} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in _CELL.split(line)[1:-1]] for line in lines]
    rules = [place for place, row in enumerate(cells) if set("".join(row)) <= set("-: ")]
    heads = {place - 1 for place in rules}
    return [row for place, row in enumerate(cells) if place not in rules and place not in heads]
