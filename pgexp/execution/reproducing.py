"""Trains recorded runs again, in a folder that passes, and says how far their numbers were found again."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pgexp.execution.agreement import Agreement, Numbers, compare, read_numbers
from pgexp.execution.assembly import assemble
from pgexp.execution.experiment import Experiment
from pgexp.execution.journal import Journal
from pgexp.execution.plan import Job, configuration_names
from pgexp.execution.progress import ProgressDisplay
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.identity import run_key
from pgexp.schema.names import RUN_FILE, TAG_EXTENDED_EXACTLY
from pgexp.storage import provenance
from pgexp.storage.differences import Differences, differences
from pgexp.storage.files import read_json
from pgexp.storage.own_modules import standing
from pgexp.storage.provenance import Provenance
from pgexp.storage.run_config import read_config

_NEEDLESS: Mapping[str, Any] = {"evaluation.video": False, "checkpoint.seconds": None}  # they decide no number


@dataclass(frozen=True)
class RecordedRun:
    """A run as it was recorded: its name among those that are reproduced with it, its config and its numbers."""

    name: str
    config: RunConfig
    numbers: Numbers
    origin: Provenance
    key: str  # that it was recorded under


def read_runs(folders: Sequence[Path], secrets: Mapping[str, str]) -> list[RecordedRun]:
    """Read the runs of some folders; `secrets` are those that were masked, by their keys.

    Raises ConfigError where a file is missing or damaged, or a config can't be built any more.
    """
    configs = [read_config(folder, secrets, _NEEDLESS) for folder in folders]
    names = [f"{title} seed={config.seed}" for title, config in zip(configuration_names(configs), configs, strict=True)]
    return [_read(*each) for each in zip(folders, names, configs, strict=True)]


def differences_of_today(runs: Sequence[RecordedRun]) -> dict[Differences, list[str]]:
    """Return what differs today, for each way in which it does the names of the runs."""
    torch.set_num_threads(1)  # as in training
    found: dict[Differences, list[str]] = {}
    today: dict[frozenset[str], Provenance] = {}
    for run in runs:
        places = frozenset(run.origin.modules)
        if places not in today:
            today[places] = provenance.collect(Path.cwd(), standing(sorted(places)))
        apart = differences(run.origin, today[places])
        if run.key != run_key(run.config):
            apart = replace(apart, deciding=("config.json: changed since the run was recorded", *apart.deciding))
        found.setdefault(apart, []).append(run.name)
    return found


def reproduce(runs: Sequence[RecordedRun], console: Console) -> Iterator[tuple[RecordedRun, Agreement]]:
    """Train the runs again, one after the other, and yield each with the comparison of its numbers."""
    with tempfile.TemporaryDirectory(prefix="pgexp-") as scratch, ProgressDisplay(console, len(runs)) as display:
        for number, run in enumerate(runs):
            job = Job(run.config, Path(scratch, str(number)))
            _train(run, job, display, number)
            yield run, compare(run.numbers, read_numbers(job.folder))


def _train(run: RecordedRun, job: Job, display: ProgressDisplay, number: int) -> None:
    """Train a run without a store, as far as it was recorded. An error that ends it is written to its folder."""

    def show(share: float, rate: float, return_mean: float | None) -> None:
        display.training(number + share, rate, return_mean)

    experiment = Experiment(assemble(job.config), Journal(job.folder))
    last = None if run.numbers.whole else run.numbers.steps

    def is_beyond() -> bool:
        return last is not None and experiment.steps > last

    try:
        experiment.run(show, is_beyond)
    except KeyboardInterrupt:
        if not is_beyond():
            raise  # it is the user's


def _read(folder: Path, name: str, config: RunConfig) -> RecordedRun:
    try:
        about = read_json(folder / RUN_FILE) if (folder / RUN_FILE).is_file() else {}
        if about.get("tags", {}).get(TAG_EXTENDED_EXACTLY) == "false":
            text = f"{folder} was extended under a schedule of the shorter budget: reproduce the run that it extends"
            raise ConfigError([Problem("run", text)])
        written = about.get("key")
        key = run_key(config) if written is None else str(written)
        return RecordedRun(name, config, read_numbers(folder), provenance.read(folder), key)
    except ValueError as error:
        raise ConfigError([Problem("run", str(error))]) from error
