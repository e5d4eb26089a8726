from pathlib import Path

import pytest

from tests.comparison.recorded_store import RecordedStore


@pytest.fixture
def store(fresh_store: Path, tmp_path: Path) -> RecordedStore:
    return RecordedStore(fresh_store, tmp_path)
