import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LOCKS = [ROOT / "requirements/dev.txt", ROOT / "tests/clients/package-lock.json"]


def test_no_lock_file_names_a_host_so_that_any_index_can_serve_it() -> None:
    for lock in LOCKS:
        assert re.findall(r"[a-z]+://\S+", lock.read_text()) == [], lock


def test_each_python_requirement_is_one_version_with_hashes() -> None:
    entries = re.split(r"\n(?=\S)", LOCKS[0].read_text().strip())
    requirements = [entry for entry in entries if not entry.startswith("#")]
    assert len(requirements) > 10
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==[0-9][^ ]*( ; [^\n]+)? \\\n    --hash=sha256:", requirement), (
            requirement
        )


def test_each_javascript_package_is_one_version_with_its_integrity() -> None:
    packages = json.loads(LOCKS[1].read_text())["packages"]
    assert packages.pop("")["dependencies"]["replicate"] == "1.4.0"
    for name, entry in packages.items():
        assert re.match(r"\d+\.\d+\.\d+", entry["version"]), name
        assert entry["integrity"].startswith("sha512-"), name
