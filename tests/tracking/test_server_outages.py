"""Outages of a real MLflow server: nothing is lost or logged twice."""

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pgexp.cli.sync import main
from pgexp.runs.manifest import SweepManifest, load_manifest, save_manifest
from pgexp.tracking import sync
from pgexp.tracking.export import STORE_ERRORS, SweepExport
from pgexp.tracking.exporter import Exporter, ExporterState
from tests.faulty_proxy import FAULTS, FaultyProxy
from tests.mlflow_server import MlflowServer
from tests.stub_trainer import LONG, StubTrainer, stored, wait_for

pytestmark = pytest.mark.slow

MakeSweep = Callable[..., SweepManifest]


@pytest.fixture(scope="module")
def server(fresh_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server, running or not; its start takes seconds."""
    folder = tmp_path_factory.mktemp("server")
    server = MlflowServer(f"sqlite:///{shutil.copy(fresh_store, folder / 'mlflow.db')}", folder)
    yield server
    server.kill()


@pytest.fixture
def recorded(make_sweep: MakeSweep, tmp_path: Path) -> Callable[[str], SweepManifest]:
    """Return a function that writes the manifest of a sweep in its own experiment."""

    def make(uri: str) -> SweepManifest:
        manifest = make_sweep(uri)
        manifest = replace(manifest, tracking=replace(manifest.tracking, experiment=tmp_path.name))
        save_manifest(manifest)
        return manifest

    return make


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(sync, "_PAUSES", (0.0, 0.0))


def test_late_and_hanging_server_gets_everything(
    server: MlflowServer, recorded: Callable[[str], SweepManifest]
) -> None:
    server.kill()
    manifest = recorded(server.uri)
    trainer = StubTrainer(manifest)
    export = Exporter.start(manifest.folder)
    trainer.train(20)
    wait_for(export, lambda state: "refused" in state.message)
    server.start()
    wait_for(export, lambda state: state.rows == 80)
    server.signal(signal.SIGSTOP)
    trainer.train(20)
    wait_for(export, lambda state: "timed out" in state.message)
    server.signal(signal.SIGCONT)
    trainer.train(20)
    trainer.end()
    assert export.wait(LONG) == ExporterState("done", ended=4, runs=4, rows=240)
    assert stored(manifest) == trainer.expected()


def test_sync_after_a_killed_server(
    server: MlflowServer, recorded: Callable[[str], SweepManifest], capsys: pytest.CaptureFixture[str]
) -> None:
    server.start()
    manifest = recorded(server.uri)
    trainer = StubTrainer(manifest)
    export = Exporter.start(manifest.folder)
    trainer.train(20)
    wait_for(export, lambda state: state.rows == 80)
    server.kill()
    trainer.train(20)
    trainer.end()
    export.close()
    assert export.wait(LONG).state == "failed"
    where = f"{server.uri}, experiment {manifest.tracking.experiment}"
    refused = "ConnectionRefusedError: [Errno 111] Connection refused"
    assert main([str(manifest.folder)]) == 1
    assert f"could not copy everything to {where}: {refused}" in capsys.readouterr().err
    server.start()
    for _ in range(2):
        assert main([str(manifest.folder)]) == 0
        assert capsys.readouterr() == (f"{manifest.folder}: 4 runs, 160 rows in {where}\n", "")
        assert stored(manifest) == trainer.expected()


def test_lost_refused_and_repeated_requests(server: MlflowServer, recorded: Callable[[str], SweepManifest]) -> None:
    """A third of all calls fails, and exports are replaced by new ones at random."""
    server.start()
    proxy = FaultyProxy(urlsplit(server.uri).port or 0, share=1 / 3, seed=5)
    manifest = recorded(proxy.uri)
    trainer, chance, export = StubTrainer(manifest), random.Random(6), SweepExport(manifest)
    for update in range(400):
        if update < 40:
            trainer.train(1)
        elif update == 40:
            trainer.end()
        if chance.random() < 0.05:
            export = SweepExport(manifest)
        with suppress(*STORE_ERRORS):
            export_all(export)
        if export.is_over:
            break
    proxy.close()
    assert export.is_over
    assert min(proxy.counts[fault] for fault in FAULTS) > 0
    save_manifest(replace(manifest, tracking=replace(manifest.tracking, uri=server.uri)))
    assert stored(load_manifest(manifest.folder)) == trainer.expected()


def export_all(export: SweepExport) -> None:
    if not export.is_open:
        export.open()
    for _ in export.export_rows():
        pass
