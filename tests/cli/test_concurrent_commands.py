"""Several commands at the same time that create one store."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CLOCK
from tests.cli.mlflow_store import Store

pytestmark = pytest.mark.slow

COMMANDS = 4


def test_concurrent_commands_create_one_store(own: Path) -> None:
    def started(number: int) -> subprocess.Popen[str]:
        arguments = (*CLOCK, "budget.steps=32", f"seed={number}", f"hydra.run.dir=run-{number}")
        command = [sys.executable, "-m", "pgexp.cli.train", *arguments]
        return subprocess.Popen(command, cwd=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    for process in [started(number) for number in range(COMMANDS)]:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        assert f"MLflow  sqlite:///{own}/mlflow.db, experiment pgexp\n" in out
    assert [path.read_text() for path in own.glob("run-*/exporter.log")] == [""] * COMMANDS
    store = Store(own)
    assert store.statuses == {f"mine:Clock-v0 value seed={number}": "FINISHED" for number in range(COMMANDS)}
    for name in store.runs:
        assert store.history(name, "progress/updates") == [(32, 1.0)]
        assert store.artifacts(name) >= {"config.json", "run.json", "metrics.parquet", "policy/policy.safetensors"}
    assert {path.name for path in own.glob("*mlflow.db*")} == {"mlflow.db", "mlflow.db.lock"}
