"""What the pages say of routes, schedule, diagnoses, make targets and each other is so."""

import ast
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.pages import PAGES, ROOT, rows, section
from ringback.api.app import ROUTES
from ringback.rules.retry import SECOND, Schedule, backoff, next_due

SRC = ROOT / "src/ringback"
_JOINTS = re.compile(r"…|answered \d{3}|answered with |[:;] ")
"""Where a diagnosis is put together from parts."""
UNITS = {"h": 3600, "min": 60, "s": 1}


def test_api_md_lists_every_route_and_no_other() -> None:
    lines = re.findall(r"^\| `(\w+) (?:/v1)?(/\S*)` \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    assert set(lines) == {(method, path) for method, path, _ in ROUTES}


def seconds(text: str) -> int:
    return sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+) (h|min|s)\b", text))


def test_the_schedule_in_webhooks_md_is_the_real_one() -> None:
    schedule, at, real = Schedule(), 0, []
    for attempts in itertools.count(1):
        due = next_due(schedule, attempts=attempts, event_at=0, now=at * SECOND, jitter=0.0, retry_after=None)
        if due is None:
            break
        wait, at = int(backoff(schedule, attempts)), due // SECOND
        real.append((attempts + 1, wait, at))
    *table, (last, each, at_cell) = [
        row for row in rows(section("webhooks.md", "## Retries")) if row[0][0].isdigit() and len(row) == 3
    ]
    told = [(int(attempt), seconds(waits), seconds(since)) for attempt, waits, since in table]
    assert told == real[: len(told)]
    first, _, end = last.partition(" to ")
    begins, _, ends = at_cell.partition(" to ")
    assert (int(first), seconds(each), seconds(begins)) == real[len(told)]
    assert (int(end), seconds(each), seconds(ends)) == real[-1]


def sentences(path: Path) -> Iterator[str]:
    """The texts for a person in a module, `…` standing for what is filled in."""
    tree = ast.parse(path.read_text())
    inner = {id(part) for each in ast.walk(tree) if isinstance(each, ast.JoinedStr) for part in each.values}
    docstrings = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for each in ast.walk(tree):
        text = ""
        if isinstance(each, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in each.values)
        elif (
            isinstance(each, ast.Constant)
            and isinstance(each.value, str)
            and id(each) not in docstrings | inner
        ):
            text = each.value
        if len(text) > 15 and " " in text:
            yield text


def pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("…")))


def diagnoses() -> list[str]:
    return [row[0] for row in rows(section("webhooks.md", "## What the diagnoses mean"))]


def test_each_diagnosis_of_the_program_is_explained() -> None:
    told = diagnoses()
    known = list(sentences(SRC / "deliver/diagnosis.py"))
    assert len(known) > 60
    assert [text for text in known if not any(pattern(text).search(row) for row in told)] == []


def test_each_explained_diagnosis_is_one_that_the_program_gives() -> None:
    known = "\n".join(
        text for name in ("deliver/diagnosis.py", "store/settlements.py") for text in sentences(SRC / name)
    )
    parts = [part.strip(" :;") for row in diagnoses() for part in _JOINTS.split(row)]
    assert [part for part in parts if len(part) > 3 and part not in known] == []


def test_the_readme_names_each_make_target_and_no_other() -> None:
    makefile = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"`make ([a-z]+)", (ROOT / "README.md").read_text())
    assert set(named) == set(makefile)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), target
        headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE) if anchor else []
        slugs = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
        assert not anchor or anchor in slugs, f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_in_json_are_json(page: Path) -> None:
    for text in re.findall(r"^```json\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        json.loads(text)
