"""Extends the budget of finished runs, in a new folder that begins as a copy of their record and goes on from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgexp.execution.assembly import Run, assemble
from pgexp.execution.checkpoints import Checkpoints, checkpoint_path, read_best, read_state
from pgexp.execution.plan import Job
from pgexp.execution.policies import describe
from pgexp.execution.recording import write_record
from pgexp.execution.resuming import end_of, read_record, settings_of
from pgexp.execution.validation import validate
from pgexp.execution.work import restore_run
from pgexp.learning.state import State
from pgexp.schema import names
from pgexp.schema.config import Budget, RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import extended_key, run_key
from pgexp.storage.record import Record, RunRecord
from pgexp.storage.run_config import read_config
from pgexp.storage.spool import Row, SpoolReader, SpoolWriter

_OF_FINAL = f"{names.FINAL}/"


@dataclass(frozen=True)
class _Finished:
    """A run that has spent its budget: its record, and what it takes to go on."""

    folder: Path
    key: str
    configuration: str
    state: State
    rows: Sequence[Row]  # but for the final evaluation's


def extend(folder: Path, steps: int | None, episodes: int | None, to: Path, secrets: Mapping[str, Any]) -> bool:
    """Prepare a new folder in which `resume` goes on with the runs of a record, under a longer budget.

    Return whether what comes of it equals runs of the longer budget from their start: so it is where no rate or
    coefficient that was used depends on the budget. Raises ConfigError before anything is written.
    """
    before = read_record(folder)
    if before.reused:
        sweeps = ", ".join(sorted({str(Path(run.folder).parent) for run in before.reused}))
        text = f"{folder} reuses runs of others; extend those that trained them: {sweeps}"
        raise ConfigError([Problem("budget", text)])
    changes = {"budget.steps": steps, "budget.episodes": episodes}
    configs = [read_config(before.folder_of(run), secrets, changes) for run in before.runs]
    finished = [_finished(before, run, config, secrets) for run, config in zip(before.runs, configs, strict=True)]
    jobs = [Job(config, to / run.folder) for run, config in zip(before.runs, configs, strict=True)]
    if to.exists() and any(to.iterdir()):
        raise ConfigError([Problem("folder", f"{to} is not empty; name one that is, or is not there yet")])
    runs = [assemble(config) for config in configs]
    for run, old in zip(runs, finished, strict=True):
        restore_run(run, old.state)
    exact = all(_is_exact(run, old.rows) for run, old in zip(runs, finished, strict=True))
    for run, job, old in zip(runs, jobs, finished, strict=True):
        _copy(old, job, run)
    settings = None if before.sweep is None else settings_of(before, {})
    write_record(jobs, validate(configs), to, settings, lambda made: _marked(made, finished, exact))
    for run in runs:
        run.close()
    return exact


def _finished(before: Record, run: RunRecord, config: RunConfig, secrets: Mapping[str, Any]) -> _Finished:
    folder = before.folder_of(run)
    end = end_of(folder)
    if end is None or end.status != "FINISHED":
        text = f"{folder} has not spent its budget yet; call pgexp-resume without one first"
        raise ConfigError([Problem("budget", text)])
    state = read_state(folder, run_key(read_config(folder, secrets)))
    if state is None:
        raise ConfigError([Problem("checkpoint", f"{checkpoint_path(folder, 'last')}: no such file")])
    spent = state.counters["steps"] if config.budget.steps is not None else state.counters["episodes"]
    longer = config.budget.steps or config.budget.episodes or 0
    if spent >= longer:
        text = f"given {longer:,}; must be more than the {spent:,} that {folder} has behind it"
        raise ConfigError([Problem("budget", text)])
    items = SpoolReader(folder / names.ROWS_FILE).read()
    rows = [item for item in items if isinstance(item, Row) and not next(iter(item.metrics), "").startswith(_OF_FINAL)]
    return _Finished(folder, run.key, run.configuration, state, rows)


def _is_exact(run: Run, rows: Sequence[Row]) -> bool:
    """Return whether each update of the past had the learning rate that the longer budget would have given it."""
    learner, budget = run.learner, run.config.budget
    if learner.algorithm.depends_on_progress:
        return False
    progress = 0.0
    for row in rows:
        if names.LEARNING_RATE in row.metrics:
            if row.metrics[names.LEARNING_RATE] != learner.lr * learner.schedule(progress):
                return False
            progress = _progress(row.steps, row.metrics[names.EPISODES], budget)
    return True


def _progress(steps: int, episodes: float, budget: Budget) -> float:
    return min(1.0, steps / budget.steps if budget.steps is not None else episodes / (budget.episodes or 1))


def _copy(old: _Finished, job: Job, run: Run) -> None:
    """Begin the new run's folder as the old one stands: its rows, its checkpoint, its best policy."""
    spool = SpoolWriter(job.folder / names.ROWS_FILE)
    episodes = {row.steps: row.metrics[names.EPISODES] for row in old.rows if names.EPISODES in row.metrics}
    for row in old.rows:
        spool.append(replace(row, progress=_progress(row.steps, episodes[row.steps], job.config.budget)))
    key = run_key(job.config)
    kept = Checkpoints(job.folder, key, lambda steps: describe(job.config, run.env, run.policy, steps))
    kept.keep_last(old.state)
    best = read_best(old.folder)
    if best is not None:
        kept.keep_best(*best)


def _marked(made: Record, finished: Sequence[_Finished], exact: bool) -> Record:
    """Return the record with what its runs extend; what is not exact has keys of its own."""

    def marked(run: RunRecord, old: _Finished) -> RunRecord:
        tags = run.tags | {names.TAG_EXTENDS: old.key, names.TAG_EXTENDED_EXACTLY: str(exact).lower()}
        if exact:
            return replace(run, tags=tags)
        configuration = extended_key(old.configuration, run.configuration)
        return replace(run, tags=tags, key=extended_key(old.key, run.key), configuration=configuration)

    return replace(made, runs=tuple(marked(*pair) for pair in zip(made.runs, finished, strict=True)))
