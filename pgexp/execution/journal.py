"""Writes down one run in its own folder: its rows, its log, its policy, its end."""

import math
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pgexp.learning.failure import RunError
from pgexp.networks.parameters import Parameters
from pgexp.schema import names
from pgexp.storage.files import naming, remove_drafts, write_text
from pgexp.storage.policy import write_policy
from pgexp.storage.secrets import mask_text, mask_uri
from pgexp.storage.spool import End, Row, SpoolReader, SpoolWriter, Status

_TRAINING = "training"
_CAUSE = "its code, its packages or its environment are not those it began with"


class NotRepeatedError(RunError):
    """A run that goes on from a checkpoint does not repeat what it had recorded after that."""


class Journal:
    """One run's folder, as it is written while the run trains. Each entry stands on disk before the call returns.

    A run that goes on comes past rows that were recorded before it stopped. These are not written again: the new ones
    are held against them, and have to be equal, timings left aside.
    """

    def __init__(self, folder: Path) -> None:
        """Begin a run's record, or go on with one."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (names.CHECKPOINT_FOLDER, names.POLICY_FOLDER, names.PROVENANCE_FOLDER):  # of training alone
            remove_drafts(folder / name)
        self.folder = folder
        self._spool = SpoolWriter(folder / names.ROWS_FILE)
        items = SpoolReader(folder / names.ROWS_FILE).read()
        self._recorded = {_place(item.steps, item.metrics): item.metrics for item in items if isinstance(item, Row)}
        self._reached = max((steps for steps, group in self._recorded if group == _TRAINING), default=0)
        if items and isinstance(items[-1], End):
            self._spool.resumed()
        (folder / names.ERROR_FILE).unlink(missing_ok=True)  # the run goes on

    def row(self, steps: int, progress: float, metrics: dict[str, float]) -> None:
        """Record metrics at a number of training steps. Raises NotRepeatedError where they were others before."""
        place = _place(steps, metrics)
        recorded = self._recorded.pop(place, None)
        if recorded is not None:
            _require_repeated(steps, recorded, metrics)
            return
        if place[1] == _TRAINING and steps < self._reached:
            text = f"an update ended at {steps:,} steps, where none of those recorded, up to {self._reached:,}, did"
            raise NotRepeatedError(f"{text}: {_CAUSE}")
        self._spool.append(Row(steps=steps, progress=progress, time=time.time_ns() // 1_000_000, metrics=metrics))

    def log(self, text: str) -> None:
        """Add a line to the run's log."""
        stamp = datetime.now().astimezone().isoformat(timespec="seconds")
        path = self.folder / names.LOG_FILE
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(f"{stamp}  {mask_uri(text)}\n")

    def policy(self, parameters: Parameters, description: dict[str, Any]) -> None:
        """Keep the policy."""
        tensors = {name: tensor.detach().numpy().copy() for name, tensor in parameters.items()}
        write_policy(self.folder / names.POLICY_FOLDER, tensors, description)

    def error(self, traceback: str) -> None:
        """Keep where the run failed, each line without the secrets that it may show."""
        lines = [mask_text(line) + "\n" for line in traceback.splitlines()]
        write_text(self.folder / names.ERROR_FILE, "".join(lines))

    def end(self, status: Status, reason: str = "", complete: bool = False) -> None:
        """Close the run's record, and write its tables; `complete` says that nothing of it is left to do."""
        from pgexp.storage.tables import write_tables  # Parquet is wanted at the end only

        self.log(f"{status.lower()}{': ' if reason else ''}{reason}")
        write_tables(self.folder)
        self._spool.end(status, reason, complete)


def _place(steps: int, metrics: Mapping[str, float]) -> tuple[int, str]:
    """Return what tells a row of a run from its others: its steps, and whether it is of an evaluation."""
    group = next(iter(metrics), "").partition("/")[0]
    return steps, group if group in (names.EVALUATION, names.FINAL) else _TRAINING


def _require_repeated(steps: int, recorded: Mapping[str, float], now: Mapping[str, float]) -> None:
    for name in sorted(recorded.keys() | now.keys()):
        then, again = recorded.get(name), now.get(name)
        if name.startswith(names.TIMING) or then == again:
            continue
        if then is None or again is None or not math.isnan(then) or not math.isnan(again):
            text = f"at {steps:,} steps {name} was recorded as {then} and is {again} now"
            raise NotRepeatedError(f"{text}: {_CAUSE}")
