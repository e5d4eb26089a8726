"""Workers as Slurm jobs, submitted by submitit, which can also emulate them by processes of this machine.

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

from pgexp.execution.jobs import Task
from pgexp.execution.workers import lease
from pgexp.execution.workers.base import TaskExit, TaskHandle, Workers
from pgexp.execution.workers.worker import not_visible, run_remote_task, with_absolute_paths
from pgexp.schema.determinism import SETTINGS
from pgexp.schema.errors import UserError
from pgexp.schema.types import PositiveFloat, PositiveInt

FOLDER: Final = "workers"  # in a sweep's folder: one folder per job, with its script and its output
_RESULT_LAG: Final = 30.0  # seconds until a job's result is visible here, on a slow network file system
_KILL_TIMEOUT: Final = 10.0  # seconds for a killed process of this machine to end
_WARNING: Final = 90  # seconds before the time limit at which a job is warned
_INTERRUPTED: Final = "interrupted by its time limit, or preempted"

_LOST: Final = "LOST"  # the queue no longer lists the job, which has ended
_ENDED: Final = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED")
) | {"TIMEOUT", _LOST}
_QUERY: Final = ("squeue", "--me", "--states=all", "--noheader", "--format=%A %T")
_QUERY_SECONDS: Final = 10.0  # between two queries
_QUERY_TIMEOUT: Final = 60.0  # seconds


@final
class SlurmWorkers(Workers):
    """Slurm jobs, on nodes that have the same packages and see the same folders as this machine."""

    min_steps = 10_000_000

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
        slurm_only = {"slurm_partition": partition, "slurm_account": account, "slurm_setup": setup}
        further = {
            "slurm_signal_delay_s": min(_WARNING, 60 * timeout_min // 2),
            # The scheduler decides on retries.
            "slurm_additional_parameters": {"no-requeue": True} | (parameters or {}),
        }
        self._parameters: dict[str, Any] = general | slurm_only | further
        self._setup = setup or []
        self._queue = SlurmQueue() if cluster == "slurm" else None
        self._submitted: list[_SlurmJob] = []

    @property
    def count(self) -> int:
        """The number of jobs at once."""
        return self._jobs

    def start(self, task: Task) -> TaskHandle:
        """Submit a task as a job. Raises UserError."""
        folder = task.folder / FOLDER
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)  # a task contains secrets, and its file is there until the job has begun
        job = _submit(self._cluster, folder, self._parameters, self._setup, task)
        if self._queue is not None:
            self._queue.add(job.job_id)
        self._submitted = [other for other in self._submitted if other.poll() is None]
        self._submitted.append(_SlurmJob(job, self._queue, task))
        return self._submitted[-1]

    def close(self) -> None:
        """Kill the jobs that wait or train. Those that are processes of this machine have ended on return."""
        for job in self._submitted:
            job.kill()
        for job in self._submitted:
            job.join()


class SlurmQueue:
    """States of this user's jobs, at most some seconds old. One query without accounting covers all jobs."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._queried = float("-inf")

    def add(self, job: str) -> None:
        """Add a job that was just submitted."""
        self._states[job] = "PENDING"

    def state(self, job: str) -> str:
        """Return the state of a job by Slurm's name, or LOST."""
        if time.monotonic() - self._queried >= _QUERY_SECONDS:
            self._query()
            self._queried = time.monotonic()
        return self._states[job]

    def _query(self) -> None:
        try:
            done = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_QUERY_TIMEOUT, check=True)
        except (OSError, subprocess.SubprocessError):
            return  # Slurm's controller does not answer, which ends no job
        listed = dict(line.split() for line in done.stdout.splitlines())
        self._states = {job: listed.get(job, _LOST) for job in self._states}


@final
class _SlurmJob(TaskHandle):
    def __init__(self, job: Any, queue: SlurmQueue | None, task: Task) -> None:
        self._job = job
        self._queue = queue
        self._task = task
        self._end_seen: float | None = None  # time at which the job was first seen to have ended
        self._exit: TaskExit | None = None

    def poll(self) -> TaskExit | None:
        """Return at once how the job ended, or None: by its result, or if it has ended without one."""
        if self._exit is None:
            self._exit = self._read_result() or self._missing_result()
            if self._exit is not None:
                for path in (self._job.paths.submitted_pickle, self._job.paths.result_pickle):
                    path.unlink(missing_ok=True)
        return self._exit

    def cancel(self) -> None:
        """Kill the job if it waits in the queue."""
        if self.poll() is None and self._state() == "PENDING":
            self.kill()

    def kill(self) -> None:
        """Kill the job."""
        if self.poll() is not None:
            return
        self._job.paths.submitted_pickle.unlink(missing_ok=True)  # contains secrets
        if self._queue is None:
            self._job.cancel()
        else:
            subprocess.run(("scancel", "--signal=KILL", "--full", self._job.job_id), capture_output=True, check=False)

    def join(self) -> None:
        """Wait for the end of a killed job that is a process of this machine."""
        deadline = time.monotonic() + _KILL_TIMEOUT
        while self._queue is None and not self._job.done() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _read_result(self) -> TaskExit | None:
        path = self._job.paths.result_pickle
        if not path.exists() or (self._queue is None and not self._job.done()):
            return None
        status, value = pickle.loads(path.read_bytes())  # submitit renames the complete file to this path
        return value if status == "success" else TaskExit("failed", value.strip().splitlines()[-1])

    def _missing_result(self) -> TaskExit | None:
        """Return the end of a job that has ended without a result."""
        state = self._state()
        if state not in _ENDED:
            return None
        if self._end_seen is None:
            self._end_seen = time.monotonic()
            return None  # the result may have been written after `_read_result`
        if self._queue is not None and time.monotonic() - self._end_seen < _RESULT_LAG:
            return None
        job, paths = f"job {self._job.job_id}", self._job.paths
        if state == "FAILED" and not paths.stdout.exists():  # Slurm writes that on the job's node
            return TaskExit("failed", not_visible(f"the node of {job}", self._task))
        return TaskExit("died", f"{job} {state}; its output is in {paths.stderr}")

    def _state(self) -> str:
        if self._queue is None:
            return "COMPLETED" if self._job.done() else "RUNNING"
        return self._queue.state(self._job.job_id)


def run_job(task: Task) -> TaskExit:
    """Train a task in this process, which is a job, and return how it ended. A warned job writes a checkpoint."""
    from submitit import JobEnvironment

    JobEnvironment().paths.submitted_pickle.unlink(missing_ok=True)  # contains secrets
    warning = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")  # before the time limit; SIGTERM if preempted
    signal.signal(warning, lambda number, frame: signal.raise_signal(signal.SIGTERM))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        end = run_remote_task(task)
    except KeyboardInterrupt:
        return TaskExit("died", _INTERRUPTED)
    was_interrupted = end.status == "stopped" and lease.is_held(task.folder, task.token)
    return TaskExit("died", _INTERRUPTED) if was_interrupted else end


def _submit(cluster: str, folder: Path, parameters: dict[str, Any], setup: list[str], task: Task) -> Any:
    """Return a new job. Raises UserError if submitit or the cluster is missing, or refuses the job."""
    try:
        from submitit import AutoExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ImportError as error:
        text = "needs submitit (got slurm). Install the extra: pip install 'pgexp[slurm]'"
        raise UserError.at("workers", text) from error
    # submitit names the executor by a variable, which is lost if jobs do not inherit the environment (export).
    variables = dict(SETTINGS) | {"SUBMITIT_EXECUTOR": cluster}
    python = ["env", *(f"{name}={value}" for name, value in variables.items()), sys.executable]
    # submitit's own setup of a local job starts it below a shell, which would be cancelled in its place.
    local_python = ["sh", "-c", " && ".join([*setup, 'exec "$0" "$@"']), *python]
    try:
        executor = AutoExecutor(
            folder / "%j", cluster, slurm_python=shlex.join(python), local_python=shlex.join(local_python)
        )
        executor.update_parameters(name=f"pgexp-{task.number}", **parameters)
        job = executor.submit(run_job, with_absolute_paths(task))
    except (FailedJobError, FailedSubmissionError, RuntimeError) as error:
        text = f"no job can be submitted (got {cluster}): {str(error).strip()}"
        raise UserError.at("workers.cluster", text) from error
    finally:  # a link to the script, which is in the job's folder, and the file of a task that was refused
        for path in (*folder.glob(".submission_file_*.sh"), *folder.glob("*.pkl")):
            path.unlink()
    return job
