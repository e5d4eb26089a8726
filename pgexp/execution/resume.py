"""Resumption of runs from their checkpoints, bit-identical to an uninterrupted run, and extension of their budgets."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from pgexp.algorithms.trainer import SavedState
from pgexp.execution.assembly import Run, assemble
from pgexp.execution.experiment import restore_run
from pgexp.execution.jobs import Job
from pgexp.execution.manifest import Extension, write_manifest
from pgexp.execution.results import SweepResult
from pgexp.execution.run_writer import CheckpointWriter, checkpoint_path, read_best, read_state
from pgexp.execution.trained_policy import describe
from pgexp.execution.training import locked, train, workers_of
from pgexp.execution.validation import validate
from pgexp.execution.workers import lease
from pgexp.runs import provenance
from pgexp.runs.locking import WORKERS_LOCK, find_holder
from pgexp.runs.manifest import RunEntry, SweepManifest, load_manifest, read_config
from pgexp.runs.run_log import End, Phase, Row, RunLogReader, RunLogWriter, RunState
from pgexp.runs.secrets import find_masked
from pgexp.schema import names
from pgexp.schema.config import Budget, RunConfig
from pgexp.schema.errors import UserError
from pgexp.schema.identity import extended_key, run_key
from pgexp.schema.sweep import Settings, parse_settings
from pgexp.tracking.store import full_uri

DEFAULTS: Final = {"sweep": {}, "workers": {"_target_": "pgexp.execution.workers.local.LocalWorkers"}}
"""Settings of sweeps whose manifest has none, because they were recorded by an older version."""

_WORKERS_TIMEOUT = 60.0  # seconds for workers without a command to reach their next update
_POLL_SECONDS = 0.2


def is_complete(folder: Path) -> bool:
    """Return whether no run of a manifest has anything left to train. Raises UserError as `resume` does."""
    manifest = read_manifest(folder)
    return all(_is_complete(manifest.folder_of(run)) for run in manifest.runs)


def resume(
    folder: Path, console: Console, secrets: Mapping[str, Any], any_code: bool, settings: Mapping[str, Any]
) -> SweepResult:
    """Train the incomplete runs of a manifest. A run without a checkpoint is trained from its start.

    Raises UserError, before anything is written, if a file is missing, damaged or changed, or if another command
    trains in the folder.

    Args:
        folder: the sweep's folder, or a single run's.
        console: for messages and progress.
        secrets: values of the secrets that were masked, by dotted key.
        any_code: whether a run may continue with other code than it started with.
        settings: changed settings of the sweep, by dotted key.
    """
    manifest = read_manifest(folder)
    with locked(folder):
        if manifest.sweep is not None:
            stop_orphans(folder)
        left = [run for run in manifest.runs if not _is_complete(manifest.folder_of(run))]
        jobs = [Job(_read_config(manifest, run, secrets, any_code), manifest.folder_of(run)) for run in left]
        for job in jobs:
            read_state(job.folder, run_key(job.config))  # reports damage now
        validate([job.config for job in jobs])
        tracking = replace(manifest.tracking, uri=full_uri(manifest.tracking.uri))
        resumed = replace(manifest, tracking=tracking)
        if manifest.sweep is None:
            return train(jobs, resumed, console)
        chosen = settings_of(manifest, settings)
        with workers_of(chosen.workers) as workers:
            return train(jobs, resumed, console, workers, chosen.sweep.fail_fast)


def settings_of(manifest: SweepManifest, changes: Mapping[str, Any]) -> Settings:
    """Return the settings of a sweep with some changes by dotted key. Raises UserError."""
    fields = json.loads(json.dumps(manifest.settings or DEFAULTS))
    for key, value in changes.items():
        *path, last = key.split(".")
        section = fields
        for name in path:
            section = section.setdefault(name, {})
        section[last] = value
    missing = find_masked(fields)
    if missing:
        text = f"is a secret that was masked when the sweep was recorded. Pass it again: {missing[0]}=..."
        raise UserError.at(missing[0], text)
    return parse_settings(fields)


def stop_orphans(folder: Path) -> None:
    """Stop workers that outlived their command, with checkpoints. Raises UserError if they do not stop."""
    lease.release(folder)
    deadline = time.monotonic() + _WORKERS_TIMEOUT
    while (blocking := find_holder(folder / WORKERS_LOCK)) is not None:
        if time.monotonic() > deadline:
            text = f"{blocking}, a worker of an earlier command. Wait for its end, or kill it"
            raise UserError.at("folder", text)
        time.sleep(_POLL_SECONDS)


def read_manifest(folder: Path) -> SweepManifest:
    """Return the manifest in a folder. Raises UserError."""
    try:
        return load_manifest(folder)
    except ValueError as error:
        text = f"{error}. Pass the folder of a single run or of a whole sweep"
        raise UserError.at("run", text) from error


def read_end(folder: Path) -> End | None:
    """Return how a run has ended, or None if it has not. Raises UserError if the run log is damaged."""
    try:
        items = RunLogReader(folder / names.ROWS_FILE).read()
    except ValueError as error:
        raise UserError.at("run", f"{error}. The run cannot resume with a damaged run log") from error
    return items[-1] if items and isinstance(items[-1], End) else None


def _is_complete(folder: Path) -> bool:
    end = read_end(folder)
    return end is not None and end.complete


def _read_config(manifest: SweepManifest, run: RunEntry, secrets: Mapping[str, Any], any_code: bool) -> RunConfig:
    """Return a run's config. Raises UserError if it was changed, or if the code was and `any_code` is not set."""
    folder = manifest.folder_of(run)
    config = read_config(folder, secrets)
    key = run_key(config)
    if run.key not in (key, extended_key(run.tags.get(names.TAG_EXTENDS, ""), key)):
        text = f"{folder}/config.json was changed after the run was recorded. Restore it"
        raise UserError.at("config", text)
    if not any_code:
        try:
            recorded = provenance.read(folder)
        except ValueError as error:
            raise UserError.at("provenance", str(error)) from error
        if not provenance.is_current_code(recorded):
            commit = f" (commit {recorded.git.commit[:12]})" if recorded.git.commit else ""
            remedy = "Check out that code, or pass --any-code to continue with the current one"
            raise UserError.at("code", f"{folder} was started with different code{commit}. {remedy}")
    return config


@dataclass(frozen=True)
class _Finished:
    """A finished run that is extended."""

    folder: Path
    key: str
    configuration: str
    state: SavedState
    rows: Sequence[Row]  # without the final evaluation


def extend(folder: Path, steps: int | None, episodes: int | None, to: Path, secrets: Mapping[str, Any]) -> bool:
    """Prepare a new folder in which `resume` trains the runs of a manifest up to a longer budget.

    Return whether the result will equal that of runs with the longer budget from the start: so it does if no learning
    rate or coefficient that was used depends on the budget. Raises UserError before anything is written.

    Args:
        folder: the sweep's folder, or a single run's.
        steps: the new budget in steps, or None.
        episodes: the new budget in episodes, or None.
        to: the new folder.
        secrets: values of the secrets that were masked, by dotted key.
    """
    before = read_manifest(folder)
    if before.cached:
        sweeps = ", ".join(sorted({str(Path(run.folder).parent) for run in before.cached}))
        text = f"{folder} reuses runs of other sweeps. Extend those: {sweeps}"
        raise UserError.at("budget", text)
    changes = {"budget.steps": steps, "budget.episodes": episodes}
    configs = [read_config(before.folder_of(run), secrets, changes) for run in before.runs]
    finished = [_read_finished(before, run, config, secrets) for run, config in zip(before.runs, configs, strict=True)]
    jobs = [Job(config, to / run.folder) for run, config in zip(before.runs, configs, strict=True)]
    if to.exists() and any(to.iterdir()):
        raise UserError.at("folder", f"{to} is not empty. Choose another folder")
    with ExitStack() as stack:
        runs = [assemble(config) for config in configs]
        for run, old in zip(runs, finished, strict=True):
            stack.callback(run.close)
            restore_run(run, old.state)
        is_exact = all(_is_exact(run, old.rows) for run, old in zip(runs, finished, strict=True))
        for run, job, old in zip(runs, jobs, finished, strict=True):
            _copy(old, job, run)
    settings = None if before.sweep is None else settings_of(before, {})
    extensions = [Extension(old.key, old.configuration, is_exact) for old in finished]
    write_manifest(jobs, validate(configs), to, settings, extensions=extensions)
    return is_exact


def _read_finished(before: SweepManifest, run: RunEntry, config: RunConfig, secrets: Mapping[str, Any]) -> _Finished:
    folder = before.folder_of(run)
    end = read_end(folder)
    if end is None or end.status != RunState.FINISHED:
        text = f"{folder} has not spent its budget yet. Call pgexp-resume without a budget first"
        raise UserError.at("budget", text)
    state = read_state(folder, run_key(read_config(folder, secrets)))
    if state is None:
        raise UserError.at("checkpoint", f"{checkpoint_path(folder, 'last')}: no such file")
    spent = state.counters["steps"] if config.budget.steps is not None else state.counters["episodes"]
    longer = config.budget.steps or config.budget.episodes or 0
    if spent >= longer:
        text = f"must be more than the {spent:,} that {folder} has spent (got {longer:,})"
        raise UserError.at("budget", text)
    items = RunLogReader(folder / names.ROWS_FILE).read()
    rows = [item for item in items if isinstance(item, Row) and item.phase != Phase.FINAL]
    return _Finished(folder, run.key, run.configuration, state, rows)


def _is_exact(run: Run, rows: Sequence[Row]) -> bool:
    """Return whether each update had the same learning rate as with the longer budget."""
    trainer, budget = run.trainer, run.config.budget
    if trainer.algorithm.depends_on_progress:
        return False
    progress = 0.0
    for row in rows:
        if names.LEARNING_RATE in row.metrics:
            if row.metrics[names.LEARNING_RATE] != trainer.learning_rate(progress):
                return False
            progress = _progress(row.steps, row.metrics[names.EPISODES], budget)
    return True


def _progress(steps: int, episodes: float, budget: Budget) -> float:
    return min(1.0, steps / budget.steps if budget.steps is not None else episodes / (budget.episodes or 1))


def _copy(old: _Finished, job: Job, run: Run) -> None:
    """Copy the old run's rows and checkpoints into the new run's folder."""
    log = RunLogWriter(job.folder / names.ROWS_FILE)
    episodes = {row.steps: row.metrics[names.EPISODES] for row in old.rows if names.EPISODES in row.metrics}
    for row in old.rows:
        log.append(replace(row, progress=_progress(row.steps, episodes[row.steps], job.config.budget)))
    checkpoints = CheckpointWriter(job.folder, run_key(job.config))

    def description(state: SavedState) -> dict[str, Any]:
        return describe(job.config, run.env, run.policy, state.counters["steps"])

    checkpoints.write_last(old.state, description(old.state))
    if (best := read_best(old.folder)) is not None:
        state, score = best
        checkpoints.write_best(state, description(state), score)
