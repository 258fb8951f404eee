"""The mutants fit the source as it is now, and what runs them tells the caught from the survivors."""

import re
from collections import Counter
from pathlib import Path

import pytest

from mutants.run import ROOT, Mutant, Outcome, catalogue, parse_failures

MUTANTS = catalogue()
BROKEN = Mutant("x", "1 Atomic", "a.py", (("one\n", "two\n"),), ("tests/test_a.py::test_b",))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_a_mutant_finds_its_place_and_its_tests(mutant: Mutant) -> None:
    assert mutant.broken(ROOT) is None
    for test in mutant.tests:
        path, _, name = test.partition("[")[0].partition("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), test


def test_each_promise_has_a_mutant_and_each_mutant_a_name_of_its_own() -> None:
    promises = {mutant.promise.partition(" ")[0] for mutant in MUTANTS}
    assert {str(number) for number in range(1, 11)} <= promises
    assert max(Counter(mutant.name for mutant in MUTANTS).values()) == 1


def test_the_table_of_promises_names_every_mutant() -> None:
    table = (ROOT / "ARCHITECTURE.md").read_text()
    assert [mutant.name for mutant in MUTANTS if f"`{mutant.name}`" not in table] == []


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
        (["tests/test_a.py::test_b"], 1, []),
        (["tests/test_a.py::test_b", "tests/test_a.py::test_c"], 1, []),
        (["tests/test_a.py::test_c", "tests/test_a.py::test_d"], 1, ["tests/test_a.py::test_d"]),
        (["tests/test_a.py::test"], 1, ["tests/test_a.py::test"]),
        (["tests/test_a.py::test_c"], 0, ["tests/test_a.py::test_c"]),
        (["tests/test_a.py::test_c"], 2, ["tests/test_a.py::test_c"]),
        (["tests/test_a.py::test_c"], None, ["tests/test_a.py::test_c"]),
    ],
)
def test_a_mutant_is_caught_only_if_each_of_its_tests_failed(
    tests: list[str], code: int | None, unnoticed: list[str]
) -> None:
    outcome = Outcome(code, parse_failures(SUMMARY), 0.1, SUMMARY)
    assert outcome.unnoticed_by(tests) == unnoticed
