"""docs/faults.md names a test for each case, or says why there is none; the tests that it names exist."""

import re

import pytest

from docs.pages import ROOT, rows, section

GROUPS = ("Receiver", "TLS", "DNS", "Addresses that must not be reached", "Sender")
CASES = [(group, *row) for group in GROUPS for row in rows(section("faults.md", f"## {group}"))]
_NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_the_page_has_its_cases() -> None:
    assert len(CASES) > 80
    assert [case for case in CASES if len(case) != 4 or not all(case)] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: re.sub(r"\W+", "_", f"{case[0]} {case[1]}"))
def test_a_case_has_its_test_or_a_reason(case: tuple[str, str, str, str]) -> None:
    tests = _NAMED.findall(case[3])
    assert tests or re.fullmatch(r"- \(.{10,}\)", case[3]), case[3]
    for path, name in tests:
        text = (ROOT / "tests" / path).read_text()
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{path} has no {name}"
