"""What is a registered model's name, and what is a folder's."""

from pathlib import Path

import pytest

from pgexp.storage.registry import names_version


@pytest.mark.parametrize("name", ["models:/pole/3", "models:/pole@best", "pole/3", "pole@best", "models:/anything"])
def test_a_registered_model_is_told_by_its_version(name: str) -> None:
    assert names_version(name)


@pytest.mark.parametrize("name", ["pole", "a/b/3", "/pole/3", "0123456789abcdef0123456789abcdef", "pole/best"])
def test_other_names_are_of_runs(name: str) -> None:
    assert not names_version(name)


def test_a_folder_that_exists_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep" / "3").mkdir(parents=True)
    assert not names_version("sweep/3")
    assert names_version("sweep/4")
