"""The mutants fit the source as it is now, and what runs them tells the caught from the survivors."""

import re
from collections import Counter
from pathlib import Path

import pytest

from mutants.run import PAGE, ROOT, Mutant, Outcome, catalogue, page, parse_failures

MUTANTS = catalogue()
BROKEN = Mutant("x", "1 Atomic", "a.py", (("one\n", "two\n"),), ("test_a.py::test_b",))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_a_mutant_finds_its_place_and_its_tests(mutant: Mutant) -> None:
    assert mutant.broken(ROOT) is None
    for test in mutant.tests:
        path, _, name = test.partition("[")[0].partition("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE), test


def test_each_promise_has_a_mutant_and_each_mutant_a_name_of_its_own() -> None:
    promises = {mutant.promise.partition(" ")[0] for mutant in MUTANTS}
    assert {str(number) for number in range(1, 11)} <= promises
    assert max(Counter(mutant.name for mutant in MUTANTS).values()) == 1


def test_the_page_of_the_promises_lists_the_mutants_as_they_are() -> None:
    text = PAGE.read_text()
    assert text == page(text, MUTANTS), "make mutants ARGS=--page writes the tables anew"


def test_the_table_of_promises_has_each_promise_and_names_tests_that_exist() -> None:
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("\n## Promises\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| *(\d*) \| \*\*(.+?)\.\*\*.+\|(.+)\|$", table, re.MULTILINE)
    assert {f"{number} {name}".strip() for number, name, _ in rows} == {mutant.promise for mutant in MUTANTS}
    for _, name, guards in rows:
        files = re.findall(r"`(\w+/\w+)`", guards)
        assert files, name
        assert [file for file in files if not (ROOT / "tests" / f"{file}.py").is_file()] == [], name


def test_a_promise_without_a_table_has_no_page() -> None:
    with pytest.raises(ValueError, match="no table under: ## 1 Atomic"):
        page("# P\n\n## 1 Atomic\n\nNo table.\n\n## 2 Other\n\n| x |\n", [BROKEN])


def test_a_page_keeps_what_stands_around_its_tables() -> None:
    made = page("# P\n\n## 1 Atomic\n\nSaid.\n\n| old |\n\nMore.\n\n## Other\n\n| kept |\n", [BROKEN])
    head, _, rest = made.partition("| broken on purpose | where | noticed by |\n|---|---|---|\n")
    assert head == "# P\n\n## 1 Atomic\n\nSaid.\n\n"
    assert rest == "| x | `a.py` | `test_a.py::test_b` |\n\nMore.\n\n## Other\n\n| kept |\n"


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"a.py": "one\n"}, None),
        ({"a.py": "one\none\n"}, "a.py has 2 of `one`, which is in: a.py"),
        ({"a.py": "", "b.py": "one\n"}, "a.py has 0 of `one`, which is in: b.py"),
        ({"b.py": "two\n"}, "a.py has 0 of `one`, which is in: nowhere"),
    ],
)
def test_a_pattern_that_does_not_fit_says_where_its_text_is(
    tmp_path: Path, files: dict[str, str], fault: str | None
) -> None:
    for name, text in files.items():
        path = tmp_path / "src/ringback" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert BROKEN.broken(tmp_path) == fault


SUMMARY = """
=========================== short test summary info ============================
FAILED tests/test_a.py::test_b[x - y] - AssertionError: assert 1 == 2
FAILED tests/test_a.py::test_c
ERROR tests/test_a.py::test_d - RuntimeError: no
3 failed, 1 passed in 0.10s
"""


@pytest.mark.parametrize(
    ("tests", "code", "unnoticed"),
    [
        (["test_a.py::test_b"], 1, []),
        (["test_a.py::test_b", "test_a.py::test_c"], 1, []),
        (["test_a.py::test_c", "test_a.py::test_d"], 1, ["test_a.py::test_d"]),
        (["test_a.py::test"], 1, ["test_a.py::test"]),
        (["test_a.py::test_c"], 0, ["test_a.py::test_c"]),
        (["test_a.py::test_c"], 2, ["test_a.py::test_c"]),
        (["test_a.py::test_c"], None, ["test_a.py::test_c"]),
    ],
)
def test_a_mutant_is_caught_only_if_each_of_its_tests_failed(
    tests: list[str], code: int | None, unnoticed: list[str]
) -> None:
    outcome = Outcome(code, parse_failures(SUMMARY), 0.1, SUMMARY)
    assert outcome.unnoticed_by(tests) == unnoticed
