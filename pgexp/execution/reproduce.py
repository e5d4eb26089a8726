"""Re-training of recorded runs in a temporary folder, and comparison of the numbers."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pgexp.execution.assembly import assemble
from pgexp.execution.experiment import Experiment, Interrupts
from pgexp.execution.jobs import Job, configuration_names
from pgexp.execution.progress import ProgressDisplay
from pgexp.execution.run_diff import RecordedNumbers, RunDiff, compare, read_numbers
from pgexp.execution.run_writer import RunWriter
from pgexp.runs import provenance
from pgexp.runs.files import read_json
from pgexp.runs.manifest import read_config
from pgexp.runs.provenance import Provenance
from pgexp.runs.provenance_diff import ProvenanceDiff, diff_provenance
from pgexp.runs.user_code import current_sources
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import UserError
from pgexp.schema.identity import run_key
from pgexp.schema.names import RUN_FILE, TAG_EXTENDED_EXACTLY

_DISABLED: Mapping[str, Any] = {"evaluation.video": False, "checkpoint.seconds": None}  # settings that change no number


@dataclass(frozen=True)
class RecordedRun:
    """A recorded run: its name among the runs that are reproduced, its config, numbers and provenance."""

    name: str
    config: RunConfig
    numbers: RecordedNumbers
    origin: Provenance
    key: str  # as recorded


def read_runs(folders: Sequence[Path], secrets: Mapping[str, str]) -> list[RecordedRun]:
    """Read the runs in some folders. secrets: values of the secrets that were masked, by dotted key.

    Raises UserError if a file is missing or damaged, or if a config is not valid with the current code.
    """
    configs = [read_config(folder, secrets, _DISABLED) for folder in folders]
    runs = []
    for folder, title, config in zip(folders, configuration_names(configs), configs, strict=True):
        try:
            entry = read_json(folder / RUN_FILE) if (folder / RUN_FILE).is_file() else {}
            if entry.get("tags", {}).get(TAG_EXTENDED_EXACTLY) == "false":
                text = f"{folder} was extended from a shorter budget, on which its rates depend. Reproduce that run"
                raise UserError.at("run", text)
            key = str(entry.get("key") or run_key(config))
            name = f"{title} seed={config.seed}"
            runs.append(RecordedRun(name, config, read_numbers(folder), provenance.read(folder), key))
        except ValueError as error:
            raise UserError.at("run", str(error)) from error
    return runs


def current_differences(runs: Sequence[RecordedRun]) -> dict[ProvenanceDiff, list[str]]:
    """Return the differences between recorded and current code and machine, each with the names of its runs."""
    torch.set_num_threads(1)  # as in training
    found: dict[ProvenanceDiff, list[str]] = {}
    current: dict[frozenset[str], Provenance] = {}
    for run in runs:
        modules = frozenset(run.origin.modules)
        if modules not in current:
            current[modules] = provenance.collect(Path.cwd(), current_sources(sorted(modules)))
        difference = diff_provenance(run.origin, current[modules])
        if run.key != run_key(run.config):
            text = "config.json: changed since the run was recorded"
            difference = replace(difference, deciding=(text, *difference.deciding))
        found.setdefault(difference, []).append(run.name)
    return found


def reproduce(runs: Sequence[RecordedRun], console: Console) -> Iterator[tuple[RecordedRun, RunDiff]]:
    """Train the runs again, one after the other, and yield each with the comparison of its numbers.

    An incomplete run is trained as far as it was recorded. Raises KeyboardInterrupt for Ctrl-C.
    """
    with tempfile.TemporaryDirectory(prefix="pgexp-") as scratch, ProgressDisplay(console, len(runs)) as display:
        for number, run in enumerate(runs):
            job = Job(run.config, Path(scratch, str(number)))
            last = None if run.numbers.complete else run.numbers.steps
            with Experiment(assemble(job.config), RunWriter(job.folder)) as experiment, Interrupts() as interrupts:
                for update in experiment:
                    if interrupts.noted():
                        raise KeyboardInterrupt
                    display.show_training(number + update.progress, update.steps_per_second, update.return_mean)
                    if last is not None and update.steps > last:
                        break
            yield run, compare(run.numbers, read_numbers(job.folder))
