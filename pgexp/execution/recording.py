"""Says what a command is about to train: its record, and the tags under which each run will be found."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pgexp.execution.assembly import Pack
from pgexp.execution.plan import Job, configuration_names, parameters
from pgexp.schema import names
from pgexp.schema.config import Option, RunConfig, Tracking
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import configuration_key, run_key
from pgexp.storage import record
from pgexp.storage.own_modules import own_sources
from pgexp.storage.provenance import Provenance
from pgexp.storage.record import Record, RunRecord

_SQLITE = "sqlite:///"


def make_record(
    jobs: Sequence[Job],
    packs: Sequence[tuple[Pack, Sequence[int]]],
    folder: Path,
    sweep: bool,
    origin: Provenance,
) -> Record:
    """Return the record of a command's jobs; `packs` are the packs with the indices of their jobs."""
    configs = [job.config for job in jobs]
    titles = configuration_names(configs)
    tags = {index: _tags(pack, run) for pack, indices in packs for run, index in enumerate(indices)}
    runs = [
        RunRecord(
            folder=str(job.folder.relative_to(folder)),
            record=uuid.uuid4().hex,
            name=f"{titles[index]} seed={job.config.seed}",
            key=run_key(job.config),
            configuration=configuration_key(job.config),
            configuration_name=titles[index],
            seed=job.config.seed,
            params=parameters(job.config),
            tags=tags[index],
        )
        for index, job in enumerate(jobs)
    ]
    return Record(
        folder=folder,
        sweep=f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}" if sweep else None,
        name=_name(configs, len(set(titles))) if sweep else runs[0].name,
        command=origin.command,
        tracking=_tracking(configs),
        runs=tuple(runs),
        tags=_tags_of_code(origin),
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
    return (*parts, *config.env.wrappers)


def _targets(option: Option) -> list[str]:
    nested = [value for value in option.arguments.values() if isinstance(value, Option)]
    return [option.target, *(target for inner in nested for target in _targets(inner))]


def _tags(pack: Pack, run: int) -> dict[str, str]:
    tags = {}
    if pack.env.reward_threshold is not None:
        tags[names.TAG_THRESHOLD] = str(pack.env.reward_threshold)
    biases = pack.biases(run)
    if biases:
        tags[names.TAG_BIASED] = ", ".join(biases)
    return tags


def _tags_of_code(origin: Provenance) -> dict[str, str]:
    tags = {names.TAG_CODE: origin.code}
    if origin.git.commit is not None:
        tags |= {names.TAG_COMMIT: origin.git.commit, names.TAG_DIRTY: str(origin.git.dirty).lower()}
    return tags


def _name(configs: Sequence[RunConfig], configurations: int) -> str:
    envs = ", ".join(dict.fromkeys(config.env.id for config in configs))
    size = f"{_count(configurations, 'configuration')}, {_count(len(configs), 'run')}"
    return f"{datetime.now():%Y-%m-%d %H:%M:%S} {envs}: {size}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tracking(configs: Sequence[RunConfig]) -> record.Tracking:
    found = {(config.tracking.uri, config.tracking.experiment) for config in configs}
    if len(found) > 1:
        text = "differs between the jobs of the sweep; a sweep is recorded in one place"
        raise ConfigError([Problem("tracking", text)])
    first = configs[0].tracking
    return record.Tracking(absolute(first), first.experiment, first.points)


def absolute(tracking: Tracking) -> str:
    """Return the store's URI, a database file's path taken from the working directory."""
    if not tracking.uri.startswith(_SQLITE):
        return tracking.uri
    return _SQLITE + str(Path.cwd() / tracking.uri.removeprefix(_SQLITE))
