"""One server at a time has a data folder: what it finds held in it belongs to the dead."""

from pathlib import Path

import pytest

from ringback.assembly.data import DataFolder
from ringback.words.errors import SetupError


def test_a_data_folder_in_use_is_nobody_elses(tmp_path: Path) -> None:
    first = DataFolder(str(tmp_path))
    with pytest.raises(SetupError, match="another ringback is using the data folder"):
        DataFolder(str(tmp_path))
    first.close()
    DataFolder(str(tmp_path)).close()
