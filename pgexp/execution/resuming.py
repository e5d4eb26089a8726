"""Goes on with runs that stopped before their end, from their checkpoints, to the bits that they would have come to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pgexp.execution.assembly import assemble
from pgexp.execution.checkpoints import read_state
from pgexp.execution.command import Assembled, Report, carry_out, locked
from pgexp.execution.plan import Job, packs
from pgexp.learning.state import State, StateError, restore
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import extended_key, run_key
from pgexp.schema.names import ROWS_FILE, TAG_EXTENDS
from pgexp.storage import provenance
from pgexp.storage.record import Record, RunRecord, read
from pgexp.storage.run_config import read_config
from pgexp.storage.spool import End, SpoolReader
from pgexp.storage.store_uri import full_uri


def is_over(folder: Path) -> bool:
    """Return whether every run of a record has come to its end. Raises ConfigError as `resume` does."""
    written = read_record(folder)
    return all(_is_complete(written.folder_of(run)) for run in written.runs)


def resume(folder: Path, console: Console, secrets: Mapping[str, Any], any_code: bool) -> Report:
    """Train the runs of a record that have not come to their end.

    A run without a checkpoint is trained from its start. `secrets` are those that were masked, by their dotted keys;
    `any_code` lets a run go on under other code than it began with. Raises ConfigError, before anything is written,
    where a file is missing, damaged or changed, or another process trains in the folder.
    """
    torch.set_num_threads(1)
    written = read_record(folder)
    with locked(folder):
        left = [run for run in written.runs if not _is_complete(written.folder_of(run))]
        jobs = [Job(_config(written, run, secrets, any_code), written.folder_of(run)) for run in left]
        assembled = [(assemble([jobs[index].config for index in pack]), pack) for pack in packs(jobs)]
        stand(assembled, [read_state(job.folder, run_key(job.config)) for job in jobs])
        tracking = replace(written.tracking, uri=full_uri(written.tracking.uri))
        return carry_out(jobs, assembled, replace(written, tracking=tracking), console)


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


def stand(assembled: Assembled, states: Sequence[State | None]) -> None:
    """Let the jobs of packs stand at these states, or at their start. Raises ConfigError."""
    for pack, indices in assembled:
        for run, index in enumerate(indices):
            state = states[index]
            if state is not None:
                try:
                    restore(state, pack.learners[run], pack.collector, run)
                except StateError as error:
                    raise ConfigError([Problem("checkpoint", str(error))]) from error


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
