"""The data folder is its owner's only: what is made, and what earlier versions made wider."""

import logging
import stat
from pathlib import Path

import pytest

from ringback.assembly.data import DataFolder

FOLDERS = ("files", "uploads", "versions", "tmp")


def rights(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def opened(folder: Path) -> None:
    DataFolder(str(folder)).close()


def test_what_is_made_is_its_owners_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "data"
    opened(data)
    assert {name: rights(data / name) for name in FOLDERS} == dict.fromkeys(FOLDERS, 0o700)
    assert rights(data) == 0o700
    assert caplog.messages == []


def test_what_was_wider_is_closed_at_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    opened(data)
    for name in FOLDERS:
        (data / name).chmod(0o755)
    opened(data)
    assert {name: rights(data / name) for name in FOLDERS} == dict.fromkeys(FOLDERS, 0o700)


def test_a_folder_of_somebody_else_is_left_and_the_log_says_what_to_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "my data"
    data.mkdir()
    data.chmod(0o755)
    opened(data)
    assert rights(data) == 0o755
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith(f": chmod 700 '{data}'")
    data.chmod(0o700)
    opened(data)
    assert len(caplog.records) == 1


def test_a_link_to_another_disk_is_followed(tmp_path: Path) -> None:
    """Whoever keeps output files on another disk links to them: the link's target is closed."""
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir(mode=0o700)
    other.mkdir(mode=0o755)
    (data / "files").symlink_to(other)
    opened(data)
    assert rights(other) == 0o700
