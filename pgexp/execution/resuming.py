"""Goes on with runs that stopped before their end, from their checkpoints, to the bits that they would have come to."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from pgexp.execution import commanding
from pgexp.execution.checkpoints import read_state
from pgexp.execution.plan import Job
from pgexp.execution.report import Report
from pgexp.execution.training import at_work, locked, train
from pgexp.execution.validation import validate
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import extended_key, run_key
from pgexp.schema.names import ROWS_FILE, TAG_EXTENDS
from pgexp.schema.sweep import Settings, parse_settings
from pgexp.storage import provenance
from pgexp.storage.locking import blocked
from pgexp.storage.record import Record, RunRecord, read
from pgexp.storage.run_config import read_config
from pgexp.storage.secrets import find_masked
from pgexp.storage.spool import End, SpoolReader
from pgexp.storage.store_uri import full_uri
from pgexp.storage.syncing import WORKERS_LOCK

# Of a sweep that was recorded before there were any.
DEFAULTS: Final = {"sweep": {}, "workers": {"_target_": "pgexp.execution.workers.local.LocalWorkers"}}

_PATIENCE = 60.0  # seconds that workers without a command have to come to their next update
_PERIOD = 0.2  # seconds between two looks whether they have gone


def is_over(folder: Path) -> bool:
    """Return whether every run of a record has come to its end. Raises ConfigError as `resume` does."""
    written = read_record(folder)
    return all(_is_complete(written.folder_of(run)) for run in written.runs)


def resume(
    folder: Path, console: Console, secrets: Mapping[str, Any], any_code: bool, settings: Mapping[str, Any]
) -> Report:
    """Train the runs of a record that have not come to their end.

    A run without a checkpoint is trained from its start. `secrets` are those that were masked, by their dotted keys;
    `any_code` lets a run go on under other code than it began with; `settings` are those of the sweep to be changed, by
    their dotted keys. Raises ConfigError, before anything is written, where a file is missing, damaged or changed, or
    another command trains in the folder.
    """
    written = read_record(folder)
    with locked(folder):
        if written.sweep is not None:
            relieve(folder)
        left = [run for run in written.runs if not _is_complete(written.folder_of(run))]
        jobs = [Job(_config(written, run, secrets, any_code), written.folder_of(run)) for run in left]
        for job in jobs:
            read_state(job.folder, run_key(job.config))  # a damaged one is told now
        validate([job.config for job in jobs])
        tracking = replace(written.tracking, uri=full_uri(written.tracking.uri))
        resumed = replace(written, tracking=tracking)
        if written.sweep is None:
            return train(jobs, resumed, console)
        chosen = settings_of(written, settings)
        with at_work(chosen.workers) as workers:
            return train(jobs, resumed, console, workers, chosen.sweep.fail_fast)


def settings_of(written: Record, changes: Mapping[str, Any]) -> Settings:
    """Return the settings of a sweep's record, some of them changed. Raises ConfigError."""
    fields = json.loads(json.dumps(written.settings or DEFAULTS))
    for key, value in changes.items():
        *path, last = key.split(".")
        section = fields
        for name in path:
            section = section.setdefault(name, {})
        section[last] = value
    missing = find_masked(fields)
    if missing:
        text = f"a secret, and was masked when the sweep was recorded; give it again: {missing[0]}=..."
        raise ConfigError([Problem(missing[0], text)])
    return parse_settings(fields)


def relieve(folder: Path) -> None:
    """Have workers that outlived their command keep their checkpoints and stop. Raises ConfigError where they don't."""
    commanding.dismiss(folder)
    deadline = time.monotonic() + _PATIENCE
    while (blocking := blocked(folder / WORKERS_LOCK)) is not None:
        if time.monotonic() > deadline:
            text = f"{blocking}, a worker that an earlier command left; wait until it has gone, or end it"
            raise ConfigError([Problem("folder", text)])
        time.sleep(_PERIOD)


def read_record(folder: Path) -> Record:
    """Return a folder's record. Raises ConfigError."""
    try:
        return read(folder)
    except ValueError as error:
        hint = "; name the folder of a single run, or of a whole sweep"
        raise ConfigError([Problem("run", f"{error}{hint}")]) from error


def end_of(folder: Path) -> End | None:
    """Return how a run's record ends, or None if it does not. Raises ConfigError where it is damaged."""
    try:
        items = SpoolReader(folder / ROWS_FILE).read()
    except ValueError as error:
        raise ConfigError([Problem("run", f"{error}; the run can't go on from a damaged record")]) from error
    return items[-1] if items and isinstance(items[-1], End) else None


def _is_complete(folder: Path) -> bool:
    end = end_of(folder)
    return end is not None and end.complete


def _config(written: Record, run: RunRecord, secrets: Mapping[str, Any], any_code: bool) -> RunConfig:
    folder = written.folder_of(run)
    config = read_config(folder, secrets)
    key = run_key(config)
    if run.key not in (key, extended_key(run.tags.get(TAG_EXTENDS, ""), key)):
        text = f"{folder}/config.json is not what the run was recorded with; a run goes on as it began"
        raise ConfigError([Problem("config", text)])
    if not any_code:
        _require_same_code(folder)
    return config


def _require_same_code(folder: Path) -> None:
    try:
        recorded = provenance.read(folder)
    except ValueError as error:
        raise ConfigError([Problem("provenance", str(error))]) from error
    if not provenance.is_today_s_code(recorded):
        at = f" at commit {recorded.git.commit[:12]}" if recorded.git.commit else ""
        text = f"{folder} was begun by other code than today's{at}: check that out, or go on under today's: --any-code"
        raise ConfigError([Problem("code", text)])
