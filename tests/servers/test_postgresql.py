"""PostgreSQL and S3, with and without an MLflow server, killed during an export: nothing is lost or logged twice."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgexp.cli import sync
from pgexp.runs.manifest import SweepManifest, load_manifest
from pgexp.tracking.client import Metric, MlflowClient, connect
from pgexp.tracking.exporter import Exporter, ExporterState
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
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def test_sweep_survives_outages_of_server_and_database(
    server: MlflowServer, postgres: Postgres, recorded: Callable[..., SweepManifest]
) -> None:
    manifest = recorded(server.uri)
    trainer = StubTrainer(manifest)
    exporter = Exporter.start(manifest.folder)
    trainer.train(200)
    wait_for(exporter, lambda state: state.rows == 800)
    postgres.stop()
    trainer.train(100)
    wait_for(exporter, lambda state: bool(state.message))
    postgres.start()
    wait_for(exporter, lambda state: state.rows == 1_200)
    server.kill()
    trainer.train(100)
    wait_for(exporter, lambda state: bool(state.message))
    server.start()
    wait_for(exporter, lambda state: state.rows == 1_600)
    server.signal(signal.SIGSTOP)
    trainer.train(100)
    wait_for(exporter, lambda state: bool(state.message))
    server.signal(signal.SIGCONT)
    trainer.end()
    assert exporter.wait(LONG) == ExporterState("done", ended=4, runs=4, rows=2_000)
    assert stored(manifest) == trainer.expected()


def test_concurrent_exporters_create_one_database(postgres: Postgres, recorded: Callable[..., SweepManifest]) -> None:
    uri = postgres.database("together")
    manifests = [recorded(uri, f"sweep{number}") for number in range(4)]
    trainers = [StubTrainer(manifest) for manifest in manifests]
    exporters = [Exporter.start(manifest.folder, uri) for manifest in manifests]
    for trainer in trainers:
        trainer.train(50)
        trainer.end()
    for exporter in exporters:
        assert exporter.wait(LONG) == ExporterState("done", ended=4, runs=4, rows=200)
    for manifest, trainer in zip(manifests, trainers, strict=True):
        assert stored(manifest) == trainer.expected()


def test_password_is_read_from_the_environment_only(
    postgres: Postgres,
    recorded: Callable[..., SweepManifest],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uri = postgres.database("secret")
    manifest = recorded(uri)
    trainer = StubTrainer(manifest)
    exporter = Exporter.start(manifest.folder, uri)
    trainer.train(20)
    wait_for(exporter, lambda state: state.rows == 80)
    exporter.close()
    assert exporter.wait(LONG).state == "done"
    trainer.end()
    assert sync.main([str(manifest.folder)]) == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert sync.main([str(manifest.folder)]) == 0
    out, err = capsys.readouterr()
    assert "the password of postgresql://pgexp:***@127.0.0.1" in err
    assert PASSWORD not in out + err
    files = [path for path in manifest.folder.rglob("*") if path.is_file()]
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
    assert "***" in load_manifest(manifest.folder).tracking.uri
    assert stored(manifest) == trainer.expected()


def test_repeated_points_are_stored_once(postgres: Postgres) -> None:
    client: MlflowClient = connect(postgres.database("points"))
    run = client.create_run("0").info.run_id
    points = [Metric("m", 0.1 * step, 1_000 + step, step) for step in range(1_500)]
    for batch in (points[:1_000], points[:1_000], points[500:], points[:1]):
        client.log_batch(run, batch)
    history = client.get_metric_history(run, "m")
    assert sorted((point.step, point.value) for point in history) == [(step, 0.1 * step) for step in range(1_500)]
