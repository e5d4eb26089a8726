"""A real MLflow server that is down, is killed, hangs, and loses requests and answers: nothing lost, nothing twice."""

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pgexp.cli import sync
from pgexp.storage import syncing
from pgexp.storage.mlflow_sink import STORE_ERRORS, MlflowSink
from pgexp.storage.record import Record, read, write
from pgexp.storage.sink import SinkProcess, SinkState
from tests.faulty_proxy import FAULTS, FaultyProxy
from tests.mlflow_server import MlflowServer
from tests.stub_trainer import LONG, StubTrainer, stored, wait_for

pytestmark = pytest.mark.slow

MakeRecord = Callable[..., Record]


@pytest.fixture(scope="module")
def server(fresh_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server, up or down; to start one takes seconds."""
    folder = tmp_path_factory.mktemp("server")
    server = MlflowServer(f"sqlite:///{shutil.copy(fresh_store, folder / 'mlflow.db')}", folder)
    yield server
    server.kill()


@pytest.fixture
def recorded(make_record: MakeRecord, tmp_path: Path) -> Callable[[str], Record]:
    """Makes the record of a sweep, in an experiment of its own."""

    def made(uri: str) -> Record:
        record = make_record(uri)
        record = replace(record, tracking=replace(record.tracking, experiment=tmp_path.name))
        write(record)
        return record

    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(syncing, "_PAUSES", (0.0, 0.0))


def test_a_server_that_comes_late_and_hangs_in_the_middle_gets_everything(
    server: MlflowServer, recorded: Callable[[str], Record]
) -> None:
    server.kill()
    record = recorded(server.uri)
    trainer = StubTrainer(record)
    sink = SinkProcess.start(record.folder)
    trainer.train(20)
    wait_for(sink, lambda state: "refused" in state.message)
    server.start()
    wait_for(sink, lambda state: state.rows == 80)
    server.signal(signal.SIGSTOP)
    trainer.train(20)
    wait_for(sink, lambda state: "timed out" in state.message)
    server.signal(signal.SIGCONT)
    trainer.train(20)
    trainer.end()
    assert sink.wait(LONG) == SinkState("done", ended=4, runs=4, rows=240)
    assert stored(record) == trainer.expected()


def test_a_server_that_is_killed_gets_the_rest_by_one_command_which_may_be_called_again(
    server: MlflowServer, recorded: Callable[[str], Record], capsys: pytest.CaptureFixture[str]
) -> None:
    server.start()
    record = recorded(server.uri)
    trainer = StubTrainer(record)
    sink = SinkProcess.start(record.folder)
    trainer.train(20)
    wait_for(sink, lambda state: state.rows == 80)
    server.kill()
    trainer.train(20)
    trainer.end()
    sink.close()
    assert sink.wait(LONG).state == "failed"
    where = f"{server.uri}, experiment {record.tracking.experiment}"
    refused = "ConnectionRefusedError: [Errno 111] Connection refused"
    assert sync.main([str(record.folder)]) == 1
    told = f"pgexp-sync: {record.folder}: not everything could be brought to {where}: {refused}\n"
    assert capsys.readouterr() == ("", told)
    server.start()
    for _ in range(2):
        assert sync.main([str(record.folder)]) == 0
        assert capsys.readouterr() == (f"{record.folder}: 4 runs, 160 rows in {where}\n", "")
        assert stored(record) == trainer.expected()


def test_requests_and_answers_may_be_lost_refused_and_doubled(
    server: MlflowServer, recorded: Callable[[str], Record]
) -> None:
    """Of a third of all calls something goes wrong, and now and then a sink is killed, and followed by another."""
    server.start()
    proxy = FaultyProxy(urlsplit(server.uri).port or 0, share=1 / 3, seed=5)
    record = recorded(proxy.uri)
    trainer, chance, sink = StubTrainer(record), random.Random(6), MlflowSink(record)
    for update in range(400):
        if update < 40:
            trainer.train(1)
        elif update == 40:
            trainer.end()
        if chance.random() < 0.05:
            sink = MlflowSink(record)
        with suppress(*STORE_ERRORS):
            drain(sink)
        if sink.over:
            break
    proxy.close()
    assert sink.over
    assert min(proxy.counts[fault] for fault in FAULTS) > 0
    write(replace(record, tracking=replace(record.tracking, uri=server.uri)))
    assert stored(read(record.folder)) == trainer.expected()


def drain(sink: MlflowSink) -> None:
    if not sink.is_open:
        sink.open()
    for _ in sink.drain():
        pass
