"""PostgreSQL and an S3, behind an MLflow server and without one, killed in the middle: nothing lost, nothing twice."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgexp.cli import sync
from pgexp.storage.mlflow_client import Metric, MlflowClient, connect
from pgexp.storage.record import Record, read
from pgexp.storage.sink import SinkProcess, SinkState
from tests.mlflow_server import MlflowServer
from tests.servers.conftest import PASSWORD, Postgres
from tests.stub_trainer import LONG, StubTrainer, stored, wait_for

PROXIED = ("--artifacts-destination",)
DIRECT = ("--no-serve-artifacts", "--default-artifact-root")


@pytest.fixture(params=[PROXIED, DIRECT], ids=["artifacts by the server", "artifacts by the client"])
def server(request: pytest.FixtureRequest, postgres: Postgres, bucket: str, tmp_path: Path) -> Iterator[MlflowServer]:
    database = postgres.database(f"mlflow_{'proxied' if request.param == PROXIED else 'direct'}")
    server = MlflowServer(database, tmp_path, (*request.param, bucket))
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def test_a_sweep_outlives_its_server_and_its_database(
    server: MlflowServer, postgres: Postgres, recorded: Callable[..., Record]
) -> None:
    record = recorded(server.uri)
    trainer = StubTrainer(record)
    sink = SinkProcess.start(record.folder)
    trainer.train(200)
    wait_for(sink, lambda state: state.rows == 800)
    postgres.stop()
    trainer.train(100)
    wait_for(sink, lambda state: bool(state.message))
    postgres.start()
    wait_for(sink, lambda state: state.rows == 1_200)
    server.kill()
    trainer.train(100)
    wait_for(sink, lambda state: bool(state.message))
    server.start()
    wait_for(sink, lambda state: state.rows == 1_600)
    server.signal(signal.SIGSTOP)
    trainer.train(100)
    wait_for(sink, lambda state: bool(state.message))
    server.signal(signal.SIGCONT)
    trainer.end()
    assert sink.wait(LONG) == SinkState("done", ended=4, runs=4, rows=2_000)
    assert stored(record) == trainer.expected()


def test_commands_side_by_side_make_one_database(postgres: Postgres, recorded: Callable[..., Record]) -> None:
    uri = postgres.database("together")
    records = [recorded(uri, f"sweep{number}") for number in range(4)]
    trainers = [StubTrainer(record) for record in records]
    sinks = [SinkProcess.start(record.folder, uri) for record in records]
    for trainer in trainers:
        trainer.train(50)
        trainer.end()
    for sink in sinks:
        assert sink.wait(LONG) == SinkState("done", ended=4, runs=4, rows=200)
    for record, trainer in zip(records, trainers, strict=True):
        assert stored(record) == trainer.expected()


def test_a_database_s_password_is_in_no_file_and_comes_from_the_environment(
    postgres: Postgres,
    recorded: Callable[..., Record],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uri = postgres.database("secret")
    record = recorded(uri)
    trainer = StubTrainer(record)
    sink = SinkProcess.start(record.folder, uri)
    trainer.train(20)
    wait_for(sink, lambda state: state.rows == 80)
    sink.close()
    assert sink.wait(LONG).state == "done"
    trainer.end()
    assert sync.main([str(record.folder)]) == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert sync.main([str(record.folder)]) == 0
    out, err = capsys.readouterr()
    assert "the password of postgresql://pgexp:***@127.0.0.1" in err
    assert PASSWORD not in out + err
    files = [path for path in record.folder.rglob("*") if path.is_file()]
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
    assert "***" in read(record.folder).tracking.uri
    assert stored(record) == trainer.expected()


def test_the_same_points_are_stored_once_in_batches_of_any_mixture(postgres: Postgres) -> None:
    client: MlflowClient = connect(postgres.database("points"))
    run = client.create_run("0").info.run_id
    points = [Metric("m", 0.1 * step, 1_000 + step, step) for step in range(1_500)]
    for batch in (points[:1_000], points[:1_000], points[500:], points[:1]):
        client.log_batch(run, batch)
    history = client.get_metric_history(run, "m")
    assert sorted((point.step, point.value) for point in history) == [(step, 0.1 * step) for step in range(1_500)]
