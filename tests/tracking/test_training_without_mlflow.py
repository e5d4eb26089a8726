"""Imports of training processes, of which only the exporter imports MLflow."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHORT = ("budget.steps=200", "evaluation.every=null", "evaluation.final_episodes=1", "network.widths=[4]")
FOLDERS = "hydra.run.dir=single", "hydra.sweep.dir=sweep"


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("single", ()), ("sweep", ("-m", "seed=1,2", "sweep.rerun=true", "workers.processes=2"))],
)
def test_training_does_not_import_mlflow(
    kind: str, arguments: tuple[str, ...], fresh_store: Path, tmp_path: Path
) -> None:
    shutil.copy(fresh_store, tmp_path)
    command = [sys.executable, "-m", "pgexp.cli.train", *arguments, *SHORT, *FOLDERS]
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}  # processes write their imports to standard error
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    imports, of_exporter = done.stderr, (tmp_path / kind / "exporter.log").read_text()
    assert re.search(r"\| +torch$", imports, re.MULTILINE), "no imports are logged"
    assert re.search(r"\| +mlflow$", of_exporter, re.MULTILINE)
    assert re.findall(r"\| +(?:mlflow|sqlalchemy)\b.*$", imports, re.MULTILINE) == []
