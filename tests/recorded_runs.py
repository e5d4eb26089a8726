"""Runs that were trained and recorded as a command does, without a store."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pgexp.execution.assembly import assemble
from pgexp.execution.experiment import Experiment
from pgexp.execution.journal import Journal
from pgexp.execution.plan import Job, packs
from pgexp.execution.recording import make_record, user_modules
from pgexp.schema.config import RunConfig
from pgexp.storage import provenance, record
from pgexp.storage.run_config import write_config


def recorded(configs: Sequence[RunConfig], folder: Path, sweep: bool = False) -> list[Path]:
    """Train and record the runs, each in a folder of its own below the sweep's, or one in the folder itself."""
    jobs = [Job(config, folder / str(number) if sweep else folder) for number, config in enumerate(configs)]
    assembled = [(assemble([jobs[index].config for index in pack]), pack) for pack in packs(jobs)]
    origin = provenance.collect(Path.cwd(), user_modules(configs))
    made = make_record(jobs, assembled, folder, sweep, origin)
    for job, run in zip(jobs, made.runs, strict=True):
        provenance.write(origin, job.folder, run, made.sweep)
        write_config(job.config, job.folder)
    record.write(made)
    for pack, indices in assembled:
        with suppress(RuntimeError, KeyboardInterrupt):
            Experiment(pack, [Journal(jobs[index].folder) for index in indices]).run(lambda share, rate, returns: None)
    return [job.folder for job in jobs]
