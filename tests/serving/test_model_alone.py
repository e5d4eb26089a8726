"""A model acts with the code that it contains; pgexp and the user's modules are not installed."""

import sys
from pathlib import Path

import pytest

from tests.conftest import Compose
from tests.serving.exported import export_policy, write_user


@pytest.mark.slow
def test_model_acts_as_the_policy_with_its_own_code(
    configured: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_user(tmp_path / "user")
    monkeypatch.syspath_prepend(tmp_path / "user")
    exported = export_policy(configured("env=pendulum"), tmp_path / "run")
    (tmp_path / "user").rename(tmp_path / "gone")
    loaded = exported.load(Path(sys.executable))
    assert loaded["actions"] == exported.actions
    assert {"pgexp.execution.serving", "nets.bent", "nets.activations"} <= loaded["loaded"].keys()
    assert all(file.startswith(f"{exported.path}/code.zip/") for file in loaded["loaded"].values())
