"""Lookup of runs and sweeps by folder or id, with artifacts in place of lost folders."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.runs.manifest import SweepManifest
from pgexp.schema.errors import UserError
from pgexp.tracking.client import MlflowClient, Run, connect
from pgexp.tracking.export import SweepExport
from pgexp.tracking.locate import is_model_version, locate_run, locate_sweep

UNKNOWN = "0123456789abcdef0123456789abcdef"


def with_configs(manifest: SweepManifest) -> SweepManifest:
    for run in manifest.runs:
        (manifest.folder_of(run) / "config.json").write_text(json.dumps({"name": run.name}))
    return manifest


@pytest.fixture
def sweep(make_sweep: Callable[..., SweepManifest], uri: str) -> SweepManifest:
    """A sweep of two configurations with two seeds each, in a store."""
    manifest = with_configs(make_sweep(uri))
    SweepExport(manifest).open()
    return manifest


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return connect(uri)


def run_of(client: MlflowClient, role: str, name: str = "") -> Run:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = [run for run in client.search_runs(experiments) if run.data.tags["pgexp.role"] == role]
    return next(run for run in found if name in ("", run.info.run_name))


def log_configs(client: MlflowClient, manifest: SweepManifest) -> None:
    """Log the configs as the artifacts of finished runs."""
    for run in manifest.runs:
        stored = run_of(client, "run", run.name)
        client.log_artifact(stored.info.run_id, str(manifest.folder_of(run) / "config.json"))


def refusal(find: Callable[..., object], *arguments: str) -> str:
    with pytest.raises(UserError) as caught, find(*arguments):
        pass
    (problem,) = caught.value.problems
    return problem.text


def test_run_by_folder(sweep: SweepManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sweep.folder)
    with locate_run("runs/a-0", "no store") as found:
        assert (found.folder, found.run_id, found.copied) == (sweep.folder / "runs" / "a-0", None, False)


def test_run_by_id(sweep: SweepManifest, client: MlflowClient, uri: str) -> None:
    stored = run_of(client, "run", "lr=a seed=1")
    with locate_run(stored.info.run_id, uri) as found:
        assert (found.folder, found.copied) == (sweep.folder / "runs" / "a-1", False)
        assert found.run_id == stored.info.run_id


def test_artifacts_replace_a_lost_folder(sweep: SweepManifest, client: MlflowClient, uri: str) -> None:
    log_configs(client, sweep)
    shutil.rmtree(sweep.folder)
    with locate_run(run_of(client, "run", "lr=b seed=0").info.run_id, uri) as found:
        assert found.copied
        assert json.loads((found.folder / "config.json").read_text()) == {"name": "lr=b seed=0"}
    assert not found.folder.exists()


def test_lost_folder_without_artifacts(sweep: SweepManifest, client: MlflowClient, uri: str) -> None:
    shutil.rmtree(sweep.folder)
    message = refusal(locate_run, run_of(client, "run", "lr=a seed=1").info.run_id, uri)
    assert message == "the folder of lr=a seed=1 does not exist any more, and its artifacts lack config.json"


def test_sweep_or_other_name_is_not_a_run(sweep: SweepManifest, client: MlflowClient, uri: str, tmp_path: Path) -> None:
    assert refusal(locate_run, str(sweep.folder), uri).endswith(f"such as {sweep.folder}/0")
    assert refusal(locate_run, str(tmp_path), uri) == f"{tmp_path} has no recorded run: config.json is missing"
    assert "must be an existing folder of a run" in refusal(locate_run, "nowhere", uri)
    sweep_id = run_of(client, "sweep").info.run_id
    assert refusal(locate_run, sweep_id, uri) == f"{sweep_id} is the run of a sweep. Name one of its runs"
    foreign = client.create_run("0").info.run_id
    assert refusal(locate_run, foreign, uri) == f"{foreign} is not recorded by pgexp"
    assert "not found" in refusal(locate_run, UNKNOWN, uri)


@pytest.mark.parametrize("find", [locate_run, locate_sweep])
def test_missing_store_is_not_created(find: Callable[..., object], tmp_path: Path) -> None:
    message = refusal(find, UNKNOWN, f"sqlite:///{tmp_path}/absent.db")
    assert "does not exist" in message
    assert not (tmp_path / "absent.db").exists()


def test_password_is_masked(make_sweep: Callable[..., SweepManifest]) -> None:
    message = refusal(locate_run, UNKNOWN, "mysql+nodriver://me:hush@host/db")
    assert "me:***@host" in message
    assert "hush" not in message


def test_sweep_by_folder(sweep: SweepManifest) -> None:
    (sweep.folder / "runs" / "b-0" / "config.json").unlink()  # the run was never started
    with locate_sweep(str(sweep.folder), "no store") as found:
        assert found.folder == sweep.folder
        assert [run.name for run in found.runs] == ["a-0", "a-1", "b-1"]
        assert not found.copied


@pytest.mark.parametrize("by", ["its own id", "its MLflow run's id"])
def test_sweep_by_id(sweep: SweepManifest, client: MlflowClient, uri: str, by: str) -> None:
    name = "sweep-1" if by == "its own id" else run_of(client, "sweep").info.run_id
    with locate_sweep(name, uri) as found:
        assert (found.folder, len(found.runs), found.copied) == (sweep.folder, 4, False)


def test_artifacts_replace_a_lost_sweep(sweep: SweepManifest, client: MlflowClient, uri: str) -> None:
    log_configs(client, sweep)
    shutil.rmtree(sweep.folder)
    with locate_sweep("sweep-1", uri) as found:
        names = [json.loads((run / "config.json").read_text())["name"] for run in found.runs]
        assert names == ["lr=a seed=0", "lr=a seed=1", "lr=b seed=0", "lr=b seed=1"]
        with locate_sweep(str(found.folder), "no store") as again:
            assert again.runs == found.runs
    assert found.copied
    assert not found.folder.exists()


def test_copies_of_runs_are_sorted_by_number(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "config.json").touch()
    with locate_sweep(str(tmp_path), "no store") as found:
        assert [run.name for run in found.runs] == [str(number) for number in range(12)]


def test_run_or_other_name_is_not_a_sweep(single: SweepManifest, uri: str, tmp_path: Path) -> None:
    with_configs(single)
    assert (
        refusal(locate_sweep, str(single.folder), uri)
        == f"{single.folder} is the folder of a single run. Name that of a sweep"
    )
    (tmp_path / "empty").mkdir()
    assert refusal(locate_sweep, str(tmp_path / "empty"), uri).endswith("manifest.json is missing")
    (tmp_path / "empty" / "manifest.json").write_text("{}")
    assert "manifest.json" in refusal(locate_sweep, str(tmp_path / "empty"), uri)
    assert refusal(locate_sweep, "sweep-2", uri) == f"{uri} has no runs of a sweep 'sweep-2'"
    assert "must be an existing folder of a sweep" in refusal(locate_sweep, "no/where", uri)
    assert "must be an existing folder of a sweep" in refusal(locate_sweep, "x' OR '1'='1", uri)


@pytest.mark.parametrize("name", ["models:/pole/3", "models:/pole@best", "pole/3", "pole@best", "models:/anything"])
def test_names_of_model_versions(name: str) -> None:
    assert is_model_version(name)


@pytest.mark.parametrize("name", ["pole", "a/b/3", "/pole/3", "0123456789abcdef0123456789abcdef", "pole/best"])
def test_other_names(name: str) -> None:
    assert not is_model_version(name)


def test_existing_folder_is_not_a_model_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep" / "3").mkdir(parents=True)
    assert not is_model_version("sweep/3")
    assert is_model_version("sweep/4")
