"""Training of a task in a worker's process.

Importing this module loads neither NumPy nor torch: `run_task` first sets the variables on which results depend.
"""

import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from pgexp.execution.jobs import Task
from pgexp.execution.workers import lease
from pgexp.execution.workers.base import TaskExit
from pgexp.schema.determinism import pin
from pgexp.schema.names import MANIFEST_FILE

CHECK_SECONDS: Final = 0.2  # between two checks of files in the folders, which may be on a slow disk


def run_task(task: Task, parent: int | None = None) -> TaskExit:
    """Train a task in this process and return how it ended.

    parent: id of the process that started this one. If it ends, the training stops at the next update.
    """
    pin()
    sys.path[:0] = [folder for folder in task.path if folder not in sys.path]
    try:
        return TaskExit("done" if _train(task, parent) else "stopped")
    except OSError as error:
        name = error.filename
        file = f"{os.fsdecode(name)}: " if isinstance(name, str | bytes | os.PathLike) else ""
        return TaskExit("failed", f"{file}{error.strerror or error}")
    except Exception as error:
        return TaskExit("failed", f"{type(error).__name__}: {error}")


def _train(task: Task, parent: int | None) -> bool:
    """Train the runs of a task; return whether all of them ended. Raises errors that no run caused."""
    import torch

    from pgexp.execution.experiment import Interrupts, open_experiment
    from pgexp.runs.locking import WORKERS_LOCK, lock

    torch.set_num_threads(1)
    try:
        with lock(task.folder / WORKERS_LOCK, wait=True, shared=True), Interrupts() as interrupts:
            for job in task.jobs:
                if interrupts.noted() or not _may_train(task, parent):
                    return False
                experiment = open_experiment(job)
                if experiment is None:
                    continue
                checked = time.monotonic()
                with experiment:
                    for _ in experiment:
                        if interrupts.noted():
                            return False
                        if time.monotonic() - checked >= CHECK_SECONDS:
                            checked = time.monotonic()
                            if not _may_train(task, parent):
                                return False
                            if lease.is_pruned(job.folder):
                                experiment.prune()
                                break
    except KeyboardInterrupt:
        return False
    return True


def _may_train(task: Task, parent: int | None) -> bool:
    """Return whether the task's command still exists and holds the lease."""
    return parent in (None, os.getppid()) and lease.is_held(task.folder, task.token)


def run_remote_task(task: Task) -> TaskExit:
    """Train a task in this process, on any machine, and return how it ended."""
    if not (task.folder / MANIFEST_FILE).is_file():
        return TaskExit("failed", not_visible(platform.node(), task))
    return run_task(task)


def not_visible(node: str, task: Task) -> str:
    """Return the message for a node that does not see a task's sweep folder."""
    return f"{node} does not see {task.folder}. Choose a folder that all nodes share: hydra.sweep.dir=FOLDER"


def with_absolute_paths(task: Task) -> Task:
    """Return a task whose paths do not depend on a worker's working directory."""
    jobs = tuple(replace(job, folder=job.folder.absolute()) for job in task.jobs)
    path = tuple(str(Path(folder).absolute()) for folder in task.path)
    return replace(task, folder=task.folder.absolute(), jobs=jobs, path=path)
