"""Tasks of workers on other machines."""

import subprocess
import sys
from pathlib import Path

import pytest

from pgexp.execution.jobs import Job, Task
from pgexp.execution.workers.base import Workers
from pgexp.execution.workers.ray import RayWorkers
from pgexp.execution.workers.slurm import SlurmWorkers
from pgexp.execution.workers.worker import run_remote_task, with_absolute_paths
from pgexp.schema.errors import UserError


def test_a_machine_that_does_not_see_the_folder(tasks: tuple[Task, Task]) -> None:
    (tasks[0].folder / "manifest.json").unlink()
    ended = run_remote_task(tasks[0])
    assert ended.status == "failed"
    assert f"does not see {tasks[0].folder}" in ended.reason
    assert "hydra.sweep.dir=" in ended.reason


def test_paths_of_a_task_are_made_absolute(
    tasks: tuple[Task, Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tasks[0].jobs[0].config
    task = Task("ours", 5, Path("sweep"), (Job(config, Path("sweep/0")),), ("", "lib", "/usr/lib"))
    path = (str(tmp_path), str(tmp_path / "lib"), "/usr/lib")
    assert with_absolute_paths(task) == Task(
        "ours", 5, tmp_path / "sweep", (Job(config, tmp_path / "sweep" / "0"),), path
    )


@pytest.mark.parametrize(("module", "workers"), [("ray", RayWorkers()), ("submitit", SlurmWorkers())])
def test_a_missing_extra_is_named(
    module: str, workers: Workers, tasks: tuple[Task, Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    extra = {"ray": "ray", "submitit": "slurm"}[module]
    with pytest.raises(UserError, match=rf"^workers: .*pip install 'pgexp\[{extra}\]'"):
        workers.start(tasks[0])


@pytest.mark.parametrize("module", ["worker", "ray", "slurm"])
def test_loading_workers_imports_nothing_heavy(module: str) -> None:
    """The variables on which results depend are set before NumPy and torch are loaded."""
    heavy = "{'numpy', 'torch', 'mlflow', 'gymnasium', 'pandas', 'ray', 'submitit'}"
    code = f"import sys, pgexp.execution.workers.{module}; assert not {heavy} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
