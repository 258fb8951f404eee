import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PYTHON_LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
JAVASCRIPT_LOCK = ROOT / "tests/clients/package-lock.json"


def test_no_lock_file_names_a_host_so_that_any_index_can_serve_it() -> None:
    assert [lock.stem for lock in PYTHON_LOCKS] == ["clients-1", "clients-2", "dev"]
    for lock in [*PYTHON_LOCKS, JAVASCRIPT_LOCK]:
        assert re.findall(r"[a-z]+://\S+", lock.read_text()) == [], lock


@pytest.mark.parametrize("lock", PYTHON_LOCKS, ids=lambda lock: lock.stem)
def test_each_python_requirement_is_one_version_with_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    requirements = [entry for entry in entries if not entry.startswith("#")]
    assert len(requirements) > 10
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==[0-9][^ ]*( ; [^\n]+)? \\\n    --hash=sha256:", requirement), (
            requirement
        )


def test_each_generation_of_the_python_client_is_locked_by_itself_and_the_servers_environment_has_none() -> (
    None
):
    found = {
        lock.stem: re.findall(r"^replicate==(\S+)", lock.read_text(), re.MULTILINE) for lock in PYTHON_LOCKS
    }
    assert found == {"clients-1": ["1.0.7"], "clients-2": ["2.0.0b4"], "dev": []}


def test_each_javascript_package_is_one_version_with_its_integrity() -> None:
    packages = json.loads(JAVASCRIPT_LOCK.read_text())["packages"]
    assert packages.pop("")["dependencies"]["replicate"] == "1.4.0"
    for name, entry in packages.items():
        assert re.match(r"\d+\.\d+\.\d+", entry["version"]), name
        assert entry["integrity"].startswith("sha512-"), name
