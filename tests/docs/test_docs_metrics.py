"""docs/operations.md names every metric, with its labels, and none that does not exist."""

import re

from docs.pages import rows, section
from ringback.api.figures import Figures


def real() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for family in Figures(["test/echo"], access="open").registry.collect():
        if not family.name.startswith("ringback_"):
            continue
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def test_each_metric_is_documented_and_each_documented_one_exists() -> None:
    told = {}
    for row in rows(section("operations.md", "## Metrics")):
        name, *labels = re.findall(r"\w+", row[0])
        told[name] = set(labels)
    told.pop("process_")
    assert told == real()
