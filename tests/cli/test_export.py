"""pgexp-export on trained runs: actions of the model, registration, and refusals."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pgexp.cli.export import main
from pgexp.tracking.client import MlflowClient, connect
from pgexp.tracking.store import COMMAND_SETTINGS
from tests.cli.conftest import Done

NAMES = {0: "baseline=none seed=1", 1: "baseline=none seed=2", 2: "baseline=mean seed=1", 3: "baseline=mean seed=2"}


@pytest.fixture(autouse=True)
def place(sweep: Done, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command's working folder; changes of the process are undone afterwards."""
    monkeypatch.chdir(sweep.folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for setting, value in COMMAND_SETTINGS.items():
        monkeypatch.setenv(setting, value)
    return sweep.folder


@pytest.fixture
def client(sweep: Done) -> MlflowClient:
    return connect(f"sqlite:///{sweep.folder / 'mlflow.db'}")


@pytest.fixture
def lost(sweep: Done) -> Iterator[int]:
    """The number of a job whose folder is moved away."""
    kept = sweep.job(3).with_name("kept")
    sweep.job(3).rename(kept)
    yield 3
    kept.rename(sweep.job(3))


def run_id(sweep: Done, job: int) -> str:
    (found,) = (run.info.run_id for name, run in sweep.store.runs.items() if name.endswith(NAMES[job]))
    return str(found)


def models(client: MlflowClient, run: str) -> list[Path]:
    """Return the folders of a run's models."""
    experiment = client.get_run(run).info.experiment_id
    found = client.search_logged_models([experiment], f"source_run_id = '{run}'")
    return [Path(model.artifact_location.removeprefix("file://")) for model in found]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pgexp-export: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("pgexp-export: ").rstrip()


def test_exported_model_acts_as_the_policy(
    sweep: Done, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_id(sweep, 0)
    assert models(client, run) == []
    assert main([str(sweep.job(0))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"model       runs:/{run}/model", f"MLflow      sqlite:///{sweep.folder}/mlflow.db"]
    (folder,) = models(client, run)

    import mlflow

    model = mlflow.pyfunc.load_model(str(folder))
    weights = load_file(sweep.job(0) / "policy" / "policy.safetensors")
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    hidden = np.maximum(observations.astype(np.float64) @ weights["0.weight"] + weights["0.bias"], 0)
    logits = hidden @ weights["1.weight"] + weights["1.bias"]
    assert model.predict(observations).tolist() == logits.argmax(1).tolist()
    draws = model.predict(np.repeat(observations[:1], 4_000, 0), params={"greedy": False, "seed": 1})
    probability = 1 / (1 + np.exp(logits[0, 0] - logits[0, 1]))
    assert draws.mean() == pytest.approx(probability, abs=4 * np.sqrt(0.25 / 4_000))


def test_repeated_export_registers_one_version(
    sweep: Done, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_id(sweep, 2)
    for _ in range(2):
        assert main([run, "--name", "pole"]) == 0
        assert "registered  models:/pole/1" in capsys.readouterr().out.splitlines()
    (version,) = client.search_model_versions("name = 'pole'")
    assert version.run_id == run
    assert models(client, run) == [Path(version.source.removeprefix("file://"))]
    assert main([str(sweep.job(0)), "--name", "pole"]) == 0
    assert len(client.search_model_versions("name = 'pole'")) == 2


def test_artifacts_replace_a_lost_folder(sweep: Done, client: MlflowClient, lost: int) -> None:
    """The code of the policy is an artifact of the sweep."""
    assert main([run_id(sweep, lost)]) == 0
    (folder,) = models(client, run_id(sweep, lost))
    for name in ("data/policy/policy.safetensors", "code.zip"):
        assert (folder / name).is_file()
    kept = sweep.output / "kept" / "provenance"
    assert (folder / "code.zip").read_bytes() == (kept / "code.zip").read_bytes()
    assert (folder / "requirements.txt").read_text().split() == (kept / "requirements.txt").read_text().split()


def test_store_without_the_run_is_refused(
    sweep: Done, fresh_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(fresh_store, tmp_path / "other.db")
    found = refusal(capsys, str(sweep.job(0)), "--uri", f"sqlite:///{tmp_path}/other.db")
    expected = f"Call pgexp-sync {sweep.job(0)}, or name its store with --uri"
    assert found == f"run: sqlite:///{tmp_path}/other.db does not have the run. {expected}"
    found = refusal(capsys, str(sweep.job(0)), "--uri", f"sqlite:///{tmp_path}/absent.db")
    assert found.startswith("--uri: ")
    assert f"{tmp_path}/absent.db" in found


def test_other_names_are_refused(sweep: Done, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Name one of its runs" in refusal(capsys, str(sweep.output))
    assert "must be an existing folder of a run" in refusal(capsys, "nothing")
    assert "0" * 32 in refusal(capsys, "0" * 32)


@pytest.mark.parametrize("name", ["a/b", "a:b", " "])
def test_invalid_model_name_is_refused(sweep: Done, capsys: pytest.CaptureFixture[str], name: str) -> None:
    found = refusal(capsys, str(sweep.job(0)), "--name", name)
    assert found.startswith("--name: ")
    assert f"name without / and : (got {name!r})" in found


def test_run_without_a_policy_is_refused(sweep: Done, client: MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    policy = sweep.job(1) / "policy"
    policy.rename(policy.with_name("aside"))
    try:
        found = refusal(capsys, str(sweep.job(1)))
    finally:
        policy.with_name("aside").rename(policy)
    assert found.endswith("Continue it: pgexp-resume")
    assert models(client, run_id(sweep, 1)) == []
