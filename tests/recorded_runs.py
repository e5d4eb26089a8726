"""Runs trained and recorded as by a command, without a store."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pgexp.execution.assembly import assemble
from pgexp.execution.experiment import Experiment
from pgexp.execution.journal import Journal
from pgexp.execution.plan import Job
from pgexp.execution.recording import write_record
from pgexp.execution.validation import validate
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.sweep import Settings, Sweep

# A sweep whose runs its command trains itself, one after the other.
SETTINGS = Settings(Sweep(), Option("pgexp.execution.workers.local.LocalWorkers", {"processes": 0}))


def recorded(configs: Sequence[RunConfig], folder: Path, sweep: bool = False) -> list[Path]:
    """Train and record the runs, each in its own folder below the sweep's, or a single run in the folder itself."""
    jobs = [Job(config, folder / str(number) if sweep else folder) for number, config in enumerate(configs)]
    write_record(jobs, validate(configs), folder, SETTINGS if sweep else None)
    for job in jobs:
        experiment = Experiment(assemble(job.config), Journal(job.folder))
        with suppress(KeyboardInterrupt):
            experiment.run(lambda share, rate, mean_return: None)
    return [job.folder for job in jobs]
