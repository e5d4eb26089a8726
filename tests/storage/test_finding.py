"""A run or a sweep is found by its folder, or by its id; a lost folder's artifacts stand in for it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.schema.errors import ConfigError
from pgexp.storage.finding import found_run, found_sweep
from pgexp.storage.mlflow_client import MlflowClient, Run, connect
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record

UNKNOWN = "0123456789abcdef0123456789abcdef"


def with_configs(record: Record) -> Record:
    for run in record.runs:
        (record.folder_of(run) / "config.json").write_text(json.dumps({"name": run.name}))
    return record


@pytest.fixture
def sweep(make_record: Callable[..., Record], uri: str) -> Record:
    """A sweep of two configurations with two seeds each, in a store."""
    record = with_configs(make_record(uri))
    MlflowSink(record).open()
    return record


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return connect(uri)


def run_of(client: MlflowClient, role: str, name: str = "") -> Run:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = [run for run in client.search_runs(experiments) if run.data.tags["pgexp.role"] == role]
    return next(run for run in found if name in ("", run.info.run_name))


def keep_configs(client: MlflowClient, record: Record) -> None:
    """Log what a finished run's artifacts hold of its folder."""
    for run in record.runs:
        stored = run_of(client, "run", run.name)
        client.log_artifact(stored.info.run_id, str(record.folder_of(run) / "config.json"))


def refused(find: Callable[..., object], *arguments: str) -> str:
    with pytest.raises(ConfigError) as caught, find(*arguments):
        pass
    (problem,) = caught.value.problems
    return problem.text


def test_a_run_is_found_by_its_folder(sweep: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sweep.folder)
    with found_run("runs/a-0", "no store") as found:
        assert (found.folder, found.run_id, found.copied) == (sweep.folder / "runs" / "a-0", None, False)


def test_a_run_is_found_by_its_id(sweep: Record, client: MlflowClient, uri: str) -> None:
    stored = run_of(client, "run", "lr=a seed=1")
    with found_run(stored.info.run_id, uri) as found:
        assert (found.folder, found.copied) == (sweep.folder / "runs" / "a-1", False)
        assert found.run_id == stored.info.run_id


def test_artifacts_stand_in_for_a_lost_folder_and_pass(sweep: Record, client: MlflowClient, uri: str) -> None:
    keep_configs(client, sweep)
    shutil.rmtree(sweep.folder)
    with found_run(run_of(client, "run", "lr=b seed=0").info.run_id, uri) as found:
        assert found.copied
        assert json.loads((found.folder / "config.json").read_text()) == {"name": "lr=b seed=0"}
    assert not found.folder.exists()


def test_a_lost_folder_without_artifacts_is_told(sweep: Record, client: MlflowClient, uri: str) -> None:
    shutil.rmtree(sweep.folder)
    told = refused(found_run, run_of(client, "run", "lr=a seed=1").info.run_id, uri)
    assert told == "the folder of lr=a seed=1 is gone, and its artifacts hold no config.json to stand in for it"


def test_a_sweep_or_what_is_no_run_is_refused(sweep: Record, client: MlflowClient, uri: str, tmp_path: Path) -> None:
    assert refused(found_run, str(sweep.folder), uri).endswith(f"name one of its runs, as {sweep.folder}/0")
    assert refused(found_run, str(tmp_path), uri) == f"{tmp_path} holds no recorded run: it has no config.json"
    assert "must be a run's folder" in refused(found_run, "nowhere", uri)
    sweep_id = run_of(client, "sweep").info.run_id
    assert refused(found_run, sweep_id, uri) == f"{sweep_id} is a sweep's, not one of its runs'"
    foreign = client.create_run("0").info.run_id
    assert refused(found_run, foreign, uri) == f"{foreign} is of a run that pgexp did not record"
    assert "not found" in refused(found_run, UNKNOWN, uri)


@pytest.mark.parametrize("find", [found_run, found_sweep])
def test_a_store_that_is_not_there_is_not_made(find: Callable[..., object], tmp_path: Path) -> None:
    told = refused(find, UNKNOWN, f"sqlite:///{tmp_path}/absent.db")
    assert "there is no store at" in told
    assert not (tmp_path / "absent.db").exists()


def test_a_password_is_not_told(make_record: Callable[..., Record]) -> None:
    told = refused(found_run, UNKNOWN, "mysql+nodriver://me:hush@host/db")
    assert "me:***@host" in told
    assert "hush" not in told


def test_a_sweep_is_found_by_its_folder_in_its_record_s_order(sweep: Record) -> None:
    (sweep.folder / "runs" / "b-0" / "config.json").unlink()  # it never came to be
    with found_sweep(str(sweep.folder), "no store") as found:
        assert found.folder == sweep.folder
        assert [run.name for run in found.runs] == ["a-0", "a-1", "b-1"]
        assert not found.copied


@pytest.mark.parametrize("by", ["its own id", "its MLflow run's id"])
def test_a_sweep_is_found_by_id(sweep: Record, client: MlflowClient, uri: str, by: str) -> None:
    name = "sweep-1" if by == "its own id" else run_of(client, "sweep").info.run_id
    with found_sweep(name, uri) as found:
        assert (found.folder, len(found.runs), found.copied) == (sweep.folder, 4, False)


def test_a_lost_sweep_s_artifacts_stand_in_for_it(sweep: Record, client: MlflowClient, uri: str) -> None:
    keep_configs(client, sweep)
    shutil.rmtree(sweep.folder)
    with found_sweep("sweep-1", uri) as found:
        names = [json.loads((run / "config.json").read_text())["name"] for run in found.runs]
        assert names == ["lr=a seed=0", "lr=a seed=1", "lr=b seed=0", "lr=b seed=1"]
        with found_sweep(str(found.folder), "no store") as again:
            assert again.runs == found.runs
    assert found.copied
    assert not found.folder.exists()


def test_copies_of_a_sweep_s_runs_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "config.json").touch()
    with found_sweep(str(tmp_path), "no store") as found:
        assert [run.name for run in found.runs] == [str(number) for number in range(12)]


def test_what_is_no_sweep_is_refused(single: Record, uri: str, tmp_path: Path) -> None:
    with_configs(single)
    assert refused(found_sweep, str(single.folder), uri) == f"{single.folder} is a single run's folder: name a sweep's"
    (tmp_path / "empty").mkdir()
    assert refused(found_sweep, str(tmp_path / "empty"), uri).endswith("it has no record.json")
    (tmp_path / "empty" / "record.json").write_text("{}")
    assert "record.json" in refused(found_sweep, str(tmp_path / "empty"), uri)
    assert refused(found_sweep, "sweep-2", uri) == f"{uri} has no runs of a sweep 'sweep-2'"
    assert "must be a sweep's folder" in refused(found_sweep, "no/where", uri)
    assert "must be a sweep's folder" in refused(found_sweep, "x' OR '1'='1", uri)
