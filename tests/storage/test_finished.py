"""Which runs have finished: asked of a store, by a process of its own, which may get no answer."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.storage import mlflow_client
from pgexp.storage.finished import FinishedRun, FinishedSearch, Unknown, finished
from pgexp.storage.mlflow_client import MlflowClient
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.record import Record, write
from pgexp.storage.spool import Row, SpoolWriter, Status
from tests.mlflow_server import free_port

MakeRecord = Callable[..., Record]


def train(record: Record, ends: Mapping[str, Status], score: float = 1.0) -> None:
    """Let the runs of those records come to their ends, and bring all over."""
    for run in record.runs:
        if run.record in ends:
            spool = SpoolWriter(record.folder_of(run) / "rows.jsonl")
            spool.append(Row(100, 1.0, 1_000, {"train/return_mean": 3.0, "final/return_mean": score}))
            spool.end(ends[run.record], complete=True)
    sink = MlflowSink(record)
    sink.open()
    for _ in sink.drain():
        pass


def run_ids(record: Record) -> dict[str, str]:
    client = MlflowClient(record.tracking.uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return {run.info.run_name: run.info.run_id for run in found}


def again(record: Record, folder: Path) -> Record:
    """The same runs, recorded later."""
    runs = tuple(replace(run, record=f"later-{run.record}") for run in record.runs)
    later = replace(record, folder=folder, sweep="sweep-2", runs=runs)
    write(later)
    return later


def test_a_finished_run_is_found_by_its_key_and_code(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri)
    train(record, {"record-a-1": "FINISHED", "record-b-0": "FAILED", "record-b-1": "KILLED"}, score=2.5)
    expected = FinishedRun(
        key="key-a-1",
        code="c0de",
        record="record-a-1",
        run_id=run_ids(record)["lr=a seed=1"],
        folder=str(record.folder / "runs/a-1"),
        seed=1,
        configuration="configuration-a",
        metrics={"final/return_mean": 2.5},
    )
    assert finished(uri, "corridor") == {("key-a-1", "c0de"): expected}
    assert expected.score == 2.5
    assert FinishedSearch.start(uri, "corridor").result(60) == finished(uri, "corridor")


@pytest.mark.slow
def test_of_several_runs_of_one_key_the_newest_is_found(uri: str, make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(uri, names="a")
    train(record, {"record-a-0": "FINISHED", "record-a-1": "FINISHED"})
    later = again(record, tmp_path / "later")
    train(later, {"later-record-a-0": "FINISHED"})
    for found in (finished(uri, "corridor"), FinishedSearch.start(uri, "corridor").result(60)):
        assert isinstance(found, dict)
        assert {key: run.record for (key, _), run in found.items()} == {
            "key-a-0": "later-record-a-0",
            "key-a-1": "record-a-1",
        }


def test_another_code_s_run_is_another(uri: str, make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(uri, names="a", seeds=[0])
    train(record, {"record-a-0": "FINISHED"})
    later = replace(again(record, tmp_path / "later"), tags={"pgexp.code": "changed"})
    train(later, {"later-record-a-0": "FINISHED"})
    assert finished(uri, "corridor").keys() == {("key-a-0", "c0de"), ("key-a-0", "changed")}


def test_a_run_that_was_deleted_is_not_found(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a", seeds=[0])
    train(record, {"record-a-0": "FINISHED"})
    MlflowClient(uri).delete_run(run_ids(record)["lr=a seed=0"])
    assert finished(uri, "corridor") == {}


def test_another_experiment_holds_nothing(uri: str, make_record: MakeRecord) -> None:
    train(make_record(uri, names="a", seeds=[0]), {"record-a-0": "FINISHED"})
    assert finished(uri, "others") == {}


def test_all_pages_are_read(uri: str, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    record = make_record(uri, seeds=range(3))
    train(record, {run.record: "FINISHED" for run in record.runs})
    monkeypatch.setattr(mlflow_client, "_PAGE", 2)
    assert len(finished(uri, "corridor")) == 6


def test_a_database_that_does_not_exist_holds_nothing_at_once_and_is_not_made(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/absent.db"
    code = (
        "import sys; from pgexp.storage.finished import FinishedSearch, finished; "
        f"print(FinishedSearch.start({uri!r}, 'e').result(), finished({uri!r}, 'e'), 'mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{} {} False\n"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_store_that_does_not_answer_is_not_waited_for(silent: str) -> None:
    found = FinishedSearch.start(f"http://{silent}", "corridor").result(0.2)
    assert found == Unknown("the store did not answer within 0.2 s")


@pytest.mark.slow
def test_a_store_that_is_away_is_told() -> None:
    found = FinishedSearch.start(f"http://127.0.0.1:{free_port()}", "corridor").result(60)
    assert isinstance(found, Unknown)
    assert "refused" in found.reason


def test_a_search_that_was_killed_is_told(silent: str) -> None:
    search = FinishedSearch.start(f"http://{silent}", "corridor")
    assert search._process is not None
    search._process.kill()
    assert search.result(60) == Unknown("the search ended with code -9")


def test_the_store_s_password_is_no_argument_of_the_process(silent: str) -> None:
    """Whoever lists the processes reads those."""
    search = FinishedSearch.start(f"http://me:s3cret@{silent}", "corridor")
    assert search._process is not None
    assert search._process.args[-2:] == [f"http://me:***@{silent}", "corridor"]
    search.close()
