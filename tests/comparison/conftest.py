from pathlib import Path

import pytest

from tests.comparison.recorded import Recorded, fresh_store


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh_store(tmp_path_factory.mktemp("fresh"))


@pytest.fixture
def store(fresh: Path, tmp_path: Path) -> Recorded:
    return Recorded(fresh, tmp_path)
