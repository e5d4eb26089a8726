from pathlib import Path

import pytest

from tests.comparison.recorded import Recorded


@pytest.fixture
def store(fresh_store: Path, tmp_path: Path) -> Recorded:
    return Recorded(fresh_store, tmp_path)
