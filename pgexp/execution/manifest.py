"""Manifest of a sweep: its runs and settings, written before training, with each run's config and provenance."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from pgexp.execution.jobs import Job, config_params, names_from_params
from pgexp.execution.validation import Tags
from pgexp.runs import provenance
from pgexp.runs.files import LinkedFiles
from pgexp.runs.manifest import CachedRun, RunEntry, SweepManifest, Tracking, load_manifest, save_manifest, write_config
from pgexp.runs.provenance import Provenance
from pgexp.runs.run_index import FinishedRun
from pgexp.runs.secrets import masked
from pgexp.runs.user_code import archive_code, user_sources, write_code
from pgexp.schema import names
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.errors import UserError
from pgexp.schema.identity import configuration_key, extended_key, run_key, to_plain
from pgexp.schema.names import MANIFEST_FILE
from pgexp.schema.sweep import Settings
from pgexp.tracking.store import absolute_uri

_STAMP = "2026-11-25 10:15:00"  # format of the time with which a sweep's name begins


@dataclass(frozen=True)
class Extension:
    """Origin of a run with an extended budget."""

    key: str  # of the run that is extended
    configuration: str
    is_exact: bool  # whether the result equals that of a run with the longer budget from the start

    @property
    def tags(self) -> dict[str, str]:
        """MLflow tags of the extended run."""
        return {names.TAG_EXTENDS: self.key, names.TAG_EXTENDED_EXACTLY: str(self.is_exact).lower()}


def write_manifest(
    jobs: Sequence[Job],
    tags: Sequence[Tags],
    folder: Path,
    settings: Settings | None,
    cached: Mapping[int, FinishedRun] = MappingProxyType({}),
    extensions: Sequence[Extension] = (),
) -> SweepManifest:
    """Write the manifest of a command's jobs, and into each run folder its config and provenance.

    If the sweep has a manifest, as a search's has after its first trial, it is extended by the jobs.

    Args:
        jobs: the jobs, all of them inside the folder.
        tags: MLflow tags per job.
        folder: the sweep's folder, or a single run's.
        settings: the sweep's settings, None for a single run.
        cached: finished runs that need no training, by the index of their job.
        extensions: origin per job, if their budgets are extended.
    """
    origin = collect_provenance(jobs)
    before = load_manifest(folder) if settings is not None and (folder / MANIFEST_FILE).exists() else None
    members = () if before is None else before.members
    made = make_manifest(jobs, tags, folder, settings, origin, cached, extensions, members)
    sweep, files = made.sweep if before is None else before.sweep, LinkedFiles()
    new = [job for index, job in enumerate(jobs) if index not in cached]
    for job, run in zip(new, made.runs, strict=True):
        provenance.write(origin, job.folder, run, sweep, files)
        write_config(job.config, job.folder)
        write_code(archive_code(policy_modules(job.config)), job.folder, files)
    if before is not None:
        known = {run.record for run in before.members}
        more = tuple(run for run in made.cached if run.record not in known)
        extended = replace(before, runs=before.runs + made.runs, cached=before.cached + more)
        made = replace(extended, name=_sweep_name(extended.members, before.name[: len(_STAMP)]))
    save_manifest(made)
    return made


def collect_provenance(jobs: Sequence[Job]) -> Provenance:
    """Return the provenance of jobs that start now, in this folder."""
    return provenance.collect(Path.cwd(), user_modules([job.config for job in jobs]))


def make_manifest(
    jobs: Sequence[Job],
    tags: Sequence[Tags],
    folder: Path,
    settings: Settings | None,
    origin: Provenance,
    cached: Mapping[int, FinishedRun] = MappingProxyType({}),
    extensions: Sequence[Extension] = (),
    members: Sequence[RunEntry | CachedRun] = (),
) -> SweepManifest:
    """Return the manifest of jobs, with arguments as for `write_manifest`.

    members: runs that the sweep already has; the names of new runs differ from theirs.
    """
    entries = _entries(jobs, tags, folder, members, extensions)
    now = datetime.now()
    sweep_tags = {names.TAG_CODE: origin.code}
    if origin.git.commit is not None:
        sweep_tags |= {names.TAG_COMMIT: origin.git.commit, names.TAG_DIRTY: str(origin.git.dirty).lower()}
    if settings is not None and settings.sweep.selected_from is not None:
        sweep_tags[names.TAG_SELECTED_FROM] = settings.sweep.selected_from
    return SweepManifest(
        folder=folder,
        sweep=f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}" if settings is not None else None,
        name=_sweep_name(entries, f"{now:%Y-%m-%d %H:%M:%S}") if settings is not None else entries[0].name,
        command=origin.command,
        tracking=_tracking([job.config for job in jobs]),
        runs=tuple(run for index, run in enumerate(entries) if index not in cached),
        tags=sweep_tags,
        settings=masked(to_plain(settings)),
        cached=tuple({found.record: _cached_entry(entries[i], found) for i, found in cached.items()}.values()),
    )


def _entries(
    jobs: Sequence[Job],
    tags: Sequence[Tags],
    folder: Path,
    members: Sequence[RunEntry | CachedRun],
    extensions: Sequence[Extension],
) -> list[RunEntry]:
    params = [config_params(job.config) for job in jobs]
    titles = names_from_params([*(run.params for run in members), *params])[len(members) :]
    entries = [
        RunEntry(
            folder=str(job.folder.relative_to(folder)),
            record=uuid.uuid4().hex,
            name=f"{title} seed={job.config.seed}",
            key=run_key(job.config),
            configuration=configuration_key(job.config),
            configuration_name=title,
            seed=job.config.seed,
            params=run_params,
            tags=run_tags,
        )
        for job, run_tags, title, run_params in zip(jobs, tags, titles, params, strict=True)
    ]
    return [_extended(*each) for each in zip(entries, extensions, strict=True)] if extensions else entries


def _extended(run: RunEntry, origin: Extension) -> RunEntry:
    """Return the entry of an extended run. One that is not exact has keys of its own."""
    run = replace(run, tags=run.tags | origin.tags)
    if origin.is_exact:
        return run
    configuration = extended_key(origin.configuration, run.configuration)
    return replace(run, key=extended_key(origin.key, run.key), configuration=configuration)


def _cached_entry(run: RunEntry, found: FinishedRun) -> CachedRun:
    return CachedRun(
        folder=found.folder,
        record=found.record,
        name=run.name,
        key=run.key,
        configuration=run.configuration,
        configuration_name=run.configuration_name,
        seed=run.seed,
        params=run.params,
        score=found.score,
    )


def user_modules(configs: Sequence[RunConfig]) -> dict[str, Path]:
    """Return the files of the user's own modules in these configs, and of those that they import, by module name."""
    targets = {target for config in configs for option in _options(config) for target in _targets(option)}
    own = {target.rpartition(".")[0] for target in targets if not target.startswith(("pgexp.", "torch.", "gymnasium."))}
    own |= {config.env.id.partition(":")[0] for config in configs if ":" in config.env.id}
    return user_sources(own)


def policy_modules(config: RunConfig) -> frozenset[str]:
    """Return the modules, pgexp's own excluded, of the options that a run's policy consists of."""
    targets = {target for option in (config.network, config.head) for target in _targets(option)}
    return frozenset(target.rpartition(".")[0] for target in targets if not target.startswith("pgexp."))


def _options(config: RunConfig) -> tuple[Option, ...]:
    parts = (config.network, config.head, config.optimizer, config.schedule, config.baseline, config.algorithm)
    dynamics = () if config.env.dynamics is None else (config.env.dynamics,)
    return (*parts, *config.env.wrappers, *dynamics)


def _targets(option: Option) -> list[str]:
    nested = [value for value in option.arguments.values() if isinstance(value, Option)]
    return [option.target, *(target for inner in nested for target in _targets(inner))]


def _sweep_name(runs: Sequence[RunEntry | CachedRun], start: str) -> str:
    """Return a sweep's name: its start, its environments and its size."""
    envs = ", ".join(dict.fromkeys(str(run.params["env.id"]) for run in runs))
    size = f"{_count(len({run.configuration for run in runs}), 'configuration')}, {_count(len(runs), 'run')}"
    return f"{start} {envs}: {size}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tracking(configs: Sequence[RunConfig]) -> Tracking:
    found = {(config.tracking.uri, config.tracking.experiment) for config in configs}
    if len(found) > 1:
        text = "must be equal for all jobs of a sweep"
        raise UserError.at("tracking", text)
    first = configs[0].tracking
    curves = ("*",) if first.metrics == "all" else tuple(first.metrics)
    return Tracking(absolute_uri(first.uri), first.experiment, first.max_points, curves)
