"""The system's own resolver against a name server that lies: what the C library makes of each answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deliver import dns_house

HOUSE = Path(dns_house.__file__)
SRC = HOUSE.parent.parent.parent / "src"
NO_ADDRESS = "has no address: check the host in the webhook's URL"
NONE_OF_USE = "has no address that this machine could use: check IPv4, IPv6 and the host"
NO_ANSWER = "could not be looked up: its name servers, or this machine's, don't answer"
PRIVATE = "refused: 10.0.0.5 is a private address (allow it with egress.allow)"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What became of a webhook to each name: name, cause, diagnosis."""
    env = {**os.environ, "PYTHONPATH": str(SRC), "TMPDIR": str(tmp_path_factory.mktemp("house"))}
    ended = subprocess.run(
        [sys.executable, str(HOUSE)], capture_output=True, text=True, env=env, timeout=60, check=False
    )
    if ended.returncode == dns_house.NOT_ALLOWED_HERE:
        pytest.skip("this machine allows no user namespaces, which a name server of the test's own needs")
    assert (ended.returncode, ended.stderr) == (0, "")
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("name", ["plain.test", "six.test", "dead-six.test", "mixed.test"])
def test_a_name_with_an_address_that_works_is_reached(told: list[list[str]], name: str) -> None:
    assert [name, "acknowledged", ""] in told


@pytest.mark.parametrize("name", ["inner.test", "alias.test"])
def test_a_name_or_an_alias_that_leads_inside_is_refused(told: list[list[str]], name: str) -> None:
    assert [name, "refused", PRIVATE] in told


def test_a_name_that_changes_to_an_inner_address_is_refused_then(told: list[list[str]]) -> None:
    seen = [row[1:] for row in told if row[0] == "rebound.test"]
    assert seen == [["acknowledged", ""], ["refused", PRIVATE]]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nx.test", NO_ADDRESS),
        ("empty.test", NONE_OF_USE),
        ("broken.test", NO_ANSWER),
        ("silent.test", NO_ANSWER),
        ("garbage.test", NO_ANSWER),
    ],
)
def test_a_name_server_that_has_no_answer_is_told_from_a_name_that_has_no_address(
    told: list[list[str]], name: str, said: str
) -> None:
    assert [name, "dns", f"the name in {name}:8080 {said}"] in told
