"""Training with an unreachable store: the folder is complete, and one line reports it."""

import socket
from pathlib import Path

import pytest

from tests.cli.conftest import CLOCK
from tests.cli.console import Answer, Server

TRAINING = (*CLOCK, "budget.steps=32", "hydra.run.dir=run")


@pytest.fixture(params=["database", pytest.param("server", marks=pytest.mark.slow)])
def answer(request: pytest.FixtureRequest, ready: Server, own: Path) -> Answer:
    if request.param == "database":
        (own / "file").touch()
        return ready.run(own, *TRAINING, "tracking.uri=sqlite:///file/mlflow.db")
    with socket.socket() as bound:  # bound but not listening: connections are refused, and the port stays reserved
        bound.bind(("127.0.0.1", 0))
        uri = f"tracking.uri=http://127.0.0.1:{bound.getsockname()[1]}"
        return ready.run(own, *TRAINING, uri, environment={"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})


def test_training_finishes_without_the_store(answer: Answer, own: Path) -> None:
    assert (answer.code, answer.err) == (0, "")
    (line,) = [line for line in answer.out.splitlines() if line.startswith("MLflow")]
    assert "not everything could be recorded (" in line
    assert "The folder contains all data." in line
    assert "final evaluation, 2 episodes" in answer.out
    assert '"end":"FINISHED"' in (own / "run" / "rows.jsonl").read_text()
    found = {path.name for path in (own / "run").iterdir()}
    assert found >= {"policy", "provenance", "run.log", "metrics.parquet", "timings.parquet"}
