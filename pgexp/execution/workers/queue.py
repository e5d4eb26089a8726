"""How this user's jobs stand in Slurm's queue. It asks seldom, and for all jobs at once: many share a queue."""

import subprocess
import time
from typing import Final

GONE: Final = "GONE"  # the queue has forgotten the job, which had ended
OVER: Final = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED")
) | {"TIMEOUT", GONE}
_SECONDS: Final = 10.0  # between two questions
_LONGEST: Final = 60.0  # seconds that an answer may take
_COMMAND: Final = ("squeue", "--me", "--states=all", "--noheader", "--format=%A %T")


class Queue:
    """The states of jobs, at most some seconds old. It needs no accounting, which not every Slurm has."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._asked = float("-inf")

    def watch(self, job: str) -> None:
        """Add a job that was just submitted."""
        self._states[job] = "PENDING"

    def state(self, job: str) -> str:
        """Return the state of a job, in Slurm's words, or GONE."""
        if time.monotonic() - self._asked >= _SECONDS:
            self._ask()
            self._asked = time.monotonic()
        return self._states[job]

    def _ask(self) -> None:
        try:
            done = subprocess.run(_COMMAND, capture_output=True, text=True, timeout=_LONGEST, check=True)
        except (OSError, subprocess.SubprocessError):
            return  # the controller is away, which ends no job
        listed = dict(line.split() for line in done.stdout.splitlines())
        self._states = {job: listed.get(job, GONE) for job in self._states}
