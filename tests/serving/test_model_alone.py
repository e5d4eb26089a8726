"""A model acts by the code that it carries: pgexp and the user's modules are nowhere else to be found."""

import sys
from pathlib import Path

import pytest

from tests.conftest import Compose
from tests.serving.made import make, write_user


@pytest.mark.slow
def test_a_model_acts_as_training_s_policy_by_its_own_code(
    configured: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_user(tmp_path / "user")
    monkeypatch.syspath_prepend(tmp_path / "user")
    made = make(configured("env=pendulum"), tmp_path / "run")
    (tmp_path / "user").rename(tmp_path / "gone")
    told = made.load(Path(sys.executable))
    assert told["actions"] == made.actions
    assert {"pgexp.execution.serving", "nets.bent", "nets.activations"} <= told["loaded"].keys()
    assert all(file.startswith(f"{made.path}/code.zip/") for file in told["loaded"].values())
