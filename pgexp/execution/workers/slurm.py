"""Workers that are Slurm jobs, through submitit, which can have them as processes of this machine, too.

A job outlives the command that submitted it: jobs of a killed command finish their runs.
"""

import pickle
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, Literal, final

from pgexp.execution.commanding import is_in_command
from pgexp.execution.orders import Order
from pgexp.execution.workers.elsewhere import enter_elsewhere, placed, settings, unseen
from pgexp.execution.workers.queue import OVER, Queue
from pgexp.execution.workers.workers import Assignment, Ended, Workers
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.types import PositiveFloat, PositiveInt

FOLDER: Final = "workers"  # in the record's folder: a folder for each job, with its script and what it printed
_LAG: Final = 30.0  # seconds until what a job wrote last is seen here, on a slow network file system
_LAST_SECONDS: Final = 10.0  # that a killed process of this machine may take to end
_WARNING: Final = 90  # seconds before its time limit at which a job is warned of it
_INTERRUPTED: Final = "interrupted: by its time limit, or for a job that goes first"


@final
class SlurmWorkers(Workers):
    """Slurm jobs. The nodes have the same packages, and see the same folders, as this machine."""

    least_steps = 10_000_000

    def __init__(
        self,
        cluster: Literal["slurm", "local"] = "slurm",
        jobs: PositiveInt = 16,
        timeout_min: PositiveInt = 240,
        cpus_per_task: PositiveInt = 1,
        mem_gb: PositiveFloat | None = None,
        partition: str | None = None,
        account: str | None = None,
        setup: list[str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self._cluster = cluster
        self._jobs = jobs
        general = {"timeout_min": timeout_min, "cpus_per_task": cpus_per_task, "mem_gb": mem_gb}
        of_slurm = {"slurm_partition": partition, "slurm_account": account, "slurm_setup": setup}
        further = {
            "slurm_signal_delay_s": min(_WARNING, 60 * timeout_min // 2),
            # The scheduler decides on retries.
            "slurm_additional_parameters": {"no-requeue": True} | (parameters or {}),
        }
        self._parameters: dict[str, Any] = general | of_slurm | further
        self._setup = setup or []
        self._queue = Queue() if cluster == "slurm" else None
        self._started: list[_Job] = []

    @property
    def count(self) -> int:
        """The number of jobs at once."""
        return self._jobs

    def start(self, order: Order) -> Assignment:
        """Submit an order as a job."""
        folder = order.folder / FOLDER
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)  # an order holds secrets, and lies there until its job has begun
        job = _submitted(self._cluster, folder, self._parameters, self._setup, order)
        if self._queue is not None:
            self._queue.watch(job.job_id)
        self._started = [other for other in self._started if other.ended() is None]
        self._started.append(_Job(job, self._queue, order))
        return self._started[-1]

    def close(self) -> None:
        """Cancel the jobs that still work or wait; those that are processes of this machine are gone thereafter."""
        for job in self._started:
            job.kill()
        for job in self._started:
            job.leave()


@final
class _Job(Assignment):
    """A job of submitit's."""

    def __init__(self, job: Any, queue: Queue | None, order: Order) -> None:
        self._job = job
        self._queue = queue
        self._order = order
        self._over: float | None = None  # since when it is known to be over
        self._ended: Ended | None = None

    def ended(self) -> Ended | None:
        """Return at once how the job ended, or None: by its result, or by its having none although it is over."""
        if self._ended is None:
            self._ended = self._result() or self._lost()
            if self._ended is not None:
                for left in (self._job.paths.submitted_pickle, self._job.paths.result_pickle):
                    left.unlink(missing_ok=True)
        return self._ended

    def withdraw(self) -> None:
        """Cancel the job if it waits in the queue."""
        if self.ended() is None and self._state() == "PENDING":
            self.kill()

    def kill(self) -> None:
        """Cancel the job."""
        if self.ended() is not None:
            return
        self._job.paths.submitted_pickle.unlink(missing_ok=True)  # the order, which nobody will read any more
        if self._queue is None:
            self._job.cancel()
        else:
            subprocess.run(("scancel", "--signal=KILL", "--full", self._job.job_id), capture_output=True, check=False)

    def leave(self) -> None:
        """Return once the job is over, if it is a process of this machine and has been killed."""
        deadline = time.monotonic() + _LAST_SECONDS
        while self._queue is None and not self._job.done() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _result(self) -> Ended | None:
        path = self._job.paths.result_pickle
        if not path.exists() or (self._queue is None and not self._job.done()):
            return None
        how, what = pickle.loads(path.read_bytes())  # it is put in place whole
        return what if how == "success" else Ended("failed", what.strip().splitlines()[-1])

    def _lost(self) -> Ended | None:
        state = self._state()
        if state not in OVER:
            return None
        if self._over is None:
            self._over = time.monotonic()
            return None  # it may have written its result since that was looked for
        if self._queue is not None and time.monotonic() - self._over < _LAG:
            return None
        paths = self._job.paths
        if state == "FAILED" and not paths.stdout.exists():  # Slurm itself writes that, on the job's node
            return Ended("failed", unseen(f"the node of job {self._job.job_id}", self._order))
        return Ended("died", f"job {self._job.job_id} {state}; it said: {paths.stderr}")

    def _state(self) -> str:
        if self._queue is None:
            return "COMPLETED" if self._job.done() else "RUNNING"
        return self._queue.state(self._job.job_id)


def enter_job(order: Order) -> Ended:
    """Train an order in this process, which is a job, and return how it ended. A warned job writes its checkpoint."""
    from submitit import JobEnvironment

    JobEnvironment().paths.submitted_pickle.unlink(missing_ok=True)  # the order, which holds secrets
    warning = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")  # before the time limit; SIGTERM where it is preempted
    signal.signal(warning, lambda number, frame: signal.raise_signal(signal.SIGTERM))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        ended = enter_elsewhere(order)
    except KeyboardInterrupt:
        return Ended("died", _INTERRUPTED)
    unasked = ended.how == "stopped" and is_in_command(order.folder, order.token)
    return Ended("died", _INTERRUPTED) if unasked else ended


def _submitted(cluster: str, folder: Path, parameters: dict[str, Any], setup: list[str], order: Order) -> Any:
    """Return a new job. Raises ConfigError where submitit is missing, or there is no such cluster, or it refuses."""
    try:
        from submitit import AutoExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ImportError as error:
        text = "Slurm is an extra of the package: pip install 'pgexp[slurm]'"
        raise ConfigError([Problem("workers", text)]) from error
    # submitit says by a variable where a job is; where jobs are not given the environment (export), it would get lost.
    variables = settings() | {"SUBMITIT_EXECUTOR": cluster}
    python = ["env", *(f"{name}={value}" for name, value in variables.items()), sys.executable]
    # submitit's own setup of a local job hides the job's process behind a shell, which cancelling does not get past.
    here = ["sh", "-c", " && ".join([*setup, 'exec "$0" "$@"']), *python]
    try:
        executor = AutoExecutor(folder / "%j", cluster, slurm_python=shlex.join(python), local_python=shlex.join(here))
        executor.update_parameters(name=f"pgexp-{order.number}", **parameters)
        job = executor.submit(enter_job, placed(order))
    except (FailedJobError, FailedSubmissionError, RuntimeError) as error:
        text = f"given {cluster}; no job can be submitted: {str(error).strip()}"
        raise ConfigError([Problem("workers.cluster", text)]) from error
    finally:  # a link to the script, which stands in the job's folder; and the order itself, where it was refused
        for left in (*folder.glob(".submission_file_*.sh"), *folder.glob("*.pkl")):
            left.unlink()
    return job
