"""Writes down what a command is about to train: its record, and in each run's folder what it takes to train it."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from pgexp.execution.plan import Job, names_of, parameters
from pgexp.execution.reusing import reused
from pgexp.execution.validation import Tags
from pgexp.schema import names
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import configuration_key, plain, run_key
from pgexp.schema.names import RECORD_FILE
from pgexp.schema.sweep import Settings
from pgexp.storage import code, provenance, record
from pgexp.storage.files import SharedFiles
from pgexp.storage.finished import FinishedRun
from pgexp.storage.own_modules import own_sources
from pgexp.storage.provenance import Provenance
from pgexp.storage.record import Record, ReusedRun, RunRecord
from pgexp.storage.run_config import write_config
from pgexp.storage.secrets import masked
from pgexp.storage.store_uri import absolute_uri

_STAMP = "2026-11-25 10:15:00"  # with a time like that a sweep's name begins


def write_record(
    jobs: Sequence[Job],
    tags: Sequence[Tags],
    folder: Path,
    settings: Settings | None,
    marked: Callable[[Record], Record] = lambda made: made,
    finished: Mapping[int, FinishedRun] = MappingProxyType({}),
) -> Record:
    """Write down what will be trained, and what it runs on; `marked` may say more of the runs.

    Those of the jobs that have finished before, by index, are the record's as they are. A sweep's record that stands
    there already, of an earlier batch of the same command, grows by the jobs.
    """
    origin = collected(jobs)
    before = record.read(folder) if settings is not None and (folder / RECORD_FILE).exists() else None
    members = () if before is None else before.members
    made = marked(make_record(jobs, tags, folder, settings, origin, finished, members))
    sweep, files = made.sweep if before is None else before.sweep, SharedFiles()
    left = [job for index, job in enumerate(jobs) if index not in finished]
    for job, run in zip(left, made.runs, strict=True):
        provenance.write(origin, job.folder, run, sweep, files)
        write_config(job.config, job.folder)
        code.write(code.collect(policy_modules(job.config)), job.folder, files)
    if before is not None:
        own = {run.record for run in before.members}
        more = tuple(run for run in made.reused if run.record not in own)
        grown = replace(before, runs=before.runs + made.runs, reused=before.reused + more)
        made = replace(grown, name=sweep_name(grown.members, before.name[: len(_STAMP)]))
    record.write(made)
    return made


def collected(jobs: Sequence[Job]) -> Provenance:
    """Return what jobs run on that start now, in this folder."""
    return provenance.collect(Path.cwd(), user_modules([job.config for job in jobs]))


def make_record(
    jobs: Sequence[Job],
    tags: Sequence[Tags],
    folder: Path,
    settings: Settings | None,
    origin: Provenance,
    finished: Mapping[int, FinishedRun] = MappingProxyType({}),
    members: Sequence[RunRecord | ReusedRun] = (),
) -> Record:
    """Return the record of a command's jobs, each with its tags; a sweep has settings.

    `members` are the runs that its sweep has already, from which theirs are told apart by name.
    """
    runs = _runs_of(jobs, tags, folder, members)
    return Record(
        folder=folder,
        sweep=f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}" if settings is not None else None,
        name=sweep_name(runs, f"{datetime.now():%Y-%m-%d %H:%M:%S}") if settings is not None else runs[0].name,
        command=origin.command,
        tracking=_tracking([job.config for job in jobs]),
        runs=tuple(run for index, run in enumerate(runs) if index not in finished),
        tags=_tags_of_code(origin) | _tags_of_choice(settings),
        settings=masked(plain(settings)),
        reused=tuple({found.record: reused(runs[index], found) for index, found in finished.items()}.values()),
    )


def _runs_of(
    jobs: Sequence[Job], tags: Sequence[Tags], folder: Path, members: Sequence[RunRecord | ReusedRun]
) -> tuple[RunRecord, ...]:
    params = [parameters(job.config) for job in jobs]
    titles = names_of([*(run.params for run in members), *params])[len(members) :]
    return tuple(
        RunRecord(
            folder=str(job.folder.relative_to(folder)),
            record=uuid.uuid4().hex,
            name=f"{title} seed={job.config.seed}",
            key=run_key(job.config),
            configuration=configuration_key(job.config),
            configuration_name=title,
            seed=job.config.seed,
            params=given,
            tags=own,
        )
        for job, own, title, given in zip(jobs, tags, titles, params, strict=True)
    )


def user_modules(configs: Sequence[RunConfig]) -> dict[str, Path]:
    """Return the files of the options, and of the environments, that are neither pgexp's nor torch's, by their place.

    Those of the user's own modules that these import are among them.
    """
    targets = {target for config in configs for option in _options(config) for target in _targets(option)}
    own = {target.rpartition(".")[0] for target in targets if not target.startswith(("pgexp.", "torch.", "gymnasium."))}
    own |= {config.env.id.partition(":")[0] for config in configs if ":" in config.env.id}
    return own_sources(own)


def policy_modules(config: RunConfig) -> frozenset[str]:
    """Return the modules of the options that a run's policy is built of, but pgexp's own."""
    targets = {target for option in (config.network, config.head) for target in _targets(option)}
    return frozenset(target.rpartition(".")[0] for target in targets if not target.startswith("pgexp."))


def _options(config: RunConfig) -> tuple[Option, ...]:
    parts = (config.network, config.head, config.optimizer, config.schedule, config.baseline, config.algorithm)
    own = () if config.env.dynamics is None else (config.env.dynamics,)
    return (*parts, *config.env.wrappers, *own)


def _targets(option: Option) -> list[str]:
    nested = [value for value in option.arguments.values() if isinstance(value, Option)]
    return [option.target, *(target for inner in nested for target in _targets(inner))]


def _tags_of_code(origin: Provenance) -> dict[str, str]:
    tags = {names.TAG_CODE: origin.code}
    if origin.git.commit is not None:
        tags |= {names.TAG_COMMIT: origin.git.commit, names.TAG_DIRTY: str(origin.git.dirty).lower()}
    return tags


def _tags_of_choice(settings: Settings | None) -> dict[str, str]:
    chosen_by = None if settings is None else settings.sweep.selected_from
    return {} if chosen_by is None else {names.TAG_SELECTED_FROM: chosen_by}


def sweep_name(runs: Sequence[RunRecord | ReusedRun], begun: str) -> str:
    """Return what a sweep is called: when it began, its environments and its size."""
    envs = ", ".join(dict.fromkeys(str(run.params["env.id"]) for run in runs))
    size = f"{_count(len({run.configuration for run in runs}), 'configuration')}, {_count(len(runs), 'run')}"
    return f"{begun} {envs}: {size}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tracking(configs: Sequence[RunConfig]) -> record.Tracking:
    found = {(config.tracking.uri, config.tracking.experiment) for config in configs}
    if len(found) > 1:
        text = "differs between the jobs of the sweep; a sweep is recorded in one place"
        raise ConfigError([Problem("tracking", text)])
    first = configs[0].tracking
    return record.Tracking(absolute_uri(first.uri), first.experiment, first.points)
