"""Writers of a run folder: run log, text log, policy and checkpoints; and readers of the checkpoints."""

import math
import time
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from pgexp.algorithms.errors import RunError
from pgexp.algorithms.trainer import SavedState
from pgexp.networks.network import Parameters
from pgexp.runs.checkpoint import read_checkpoint, write_checkpoint
from pgexp.runs.files import named_errors, remove_drafts, write_text
from pgexp.runs.policy import PolicyDescription, write_policy
from pgexp.runs.run_log import End, Phase, Row, RunLogReader, RunLogWriter, RunState
from pgexp.runs.secrets import mask_text, mask_uri, masked
from pgexp.schema import names
from pgexp.schema.errors import UserError

Which = Literal["last", "best"]

_CAUSE: Final = "its code, packages or environment differ from those that it started with"
_KEYS: Final = {"key", "policy", "score", "state"}
_STATE: Final = tuple(field.name for field in fields(SavedState))  # in one order, so that equal states make equal files


class ReplayMismatchError(RunError):
    """A resumed run computed other rows than it had recorded after its checkpoint."""


class RunWriter:
    """Writer of a run's folder during training. Each entry is flushed to disk before the call returns.

    A resumed run computes the rows after its checkpoint again. These are not written twice; they must equal the
    recorded ones, except for timings.
    """

    def __init__(self, folder: Path) -> None:
        """Start or continue the run log in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (names.CHECKPOINT_FOLDER, names.POLICY_FOLDER, names.PROVENANCE_FOLDER):  # written in training only
            remove_drafts(folder / name)
        self.folder = folder
        self._log = RunLogWriter(folder / names.ROWS_FILE)
        items = RunLogReader(folder / names.ROWS_FILE).read()
        self._recorded = {(item.steps, item.phase): item.metrics for item in items if isinstance(item, Row)}
        self._last_update = max((steps for steps, phase in self._recorded if phase == Phase.TRAINING), default=0)
        if items and isinstance(items[-1], End):
            self._log.resumed()
        (folder / names.ERROR_FILE).unlink(missing_ok=True)

    def row(self, steps: int, progress: float, metrics: dict[str, float], phase: Phase = Phase.TRAINING) -> None:
        """Record metrics of a phase after a number of training steps.

        Raises ReplayMismatchError if other metrics were recorded after these steps.
        """
        recorded = self._recorded.pop((steps, phase), None)
        if recorded is not None:
            _require_equal(steps, recorded, metrics)
            return
        if phase == Phase.TRAINING and steps < self._last_update:
            text = f"an update ended at {steps:,} steps, but no recorded update (up to {self._last_update:,} steps) did"
            raise ReplayMismatchError(f"{text}: {_CAUSE}")
        self._log.append(Row(steps, progress, time.time_ns() // 1_000_000, metrics, phase))

    def log(self, text: str) -> None:
        """Append a line to the text log."""
        stamp = datetime.now().astimezone().isoformat(timespec="seconds")
        path = self.folder / names.LOG_FILE
        with named_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(f"{stamp}  {mask_uri(text)}\n")

    def write_policy(self, parameters: Parameters, description: dict[str, Any]) -> None:
        """Write the policy file."""
        tensors = {name: tensor.detach().numpy().copy() for name, tensor in parameters.items()}
        write_policy(self.folder / names.POLICY_FOLDER, tensors, description)

    def write_error(self, traceback: str) -> None:
        """Write the traceback of a failure, without the secrets that its lines may contain."""
        lines = [mask_text(line) + "\n" for line in traceback.splitlines()]
        write_text(self.folder / names.ERROR_FILE, "".join(lines))

    def end(self, status: RunState, reason: str = "", complete: bool = False) -> None:
        """End the run log and write its tables. complete: whether resuming the run would change nothing."""
        from pgexp.runs.metric_tables import write_tables  # loads Parquet

        self.log(f"{status.lower()}{': ' if reason else ''}{reason}")
        write_tables(self.folder)
        self._log.end(status, reason, complete)


def mark_resumed(folder: Path) -> None:
    """Append to the log of a run that has ended that it resumes. The exporter would take it for ended otherwise."""
    items = RunLogReader(folder / names.ROWS_FILE).read()
    if items and isinstance(items[-1], End):
        RunLogWriter(folder / names.ROWS_FILE).resumed()


def _require_equal(steps: int, recorded: Mapping[str, float], computed: Mapping[str, float]) -> None:
    for name in sorted(recorded.keys() | computed.keys()):
        before, now = recorded.get(name), computed.get(name)
        if name.startswith(names.TIMING) or before == now:
            continue
        if before is None or now is None or not math.isnan(before) or not math.isnan(now):
            raise ReplayMismatchError(f"{name} at {steps:,} steps was recorded as {before} and is now {now}: {_CAUSE}")


class CheckpointWriter:
    """Writer of a run's checkpoints: `checkpoint/last.safetensors` and `checkpoint/best.safetensors`.

    The best one is the first with the highest mean return of an evaluation during training. That score is biased
    upwards by the choice: evaluate the policy again before reporting its return.
    """

    def __init__(self, folder: Path, key: str) -> None:
        """key: the run's."""
        self._folder, self._key = folder, key
        best = read_best(folder)
        self._best = best[1] if best is not None else None

    def write_last(self, state: SavedState, policy: Mapping[str, Any]) -> None:
        """Write the state from which the run resumes. policy: the description of its policy."""
        self._write("last", state, policy, None)

    def write_best(self, state: SavedState, policy: Mapping[str, Any], score: float) -> None:
        """Write a state if its evaluation's mean return is higher than all before."""
        if self._best is None or score > self._best:
            self._best = score
            self._write("best", state, policy, score)

    def _write(self, which: Which, state: SavedState, policy: Mapping[str, Any], score: float | None) -> None:
        tree = {name: getattr(state, name) for name in _STATE}
        content = {"key": self._key, "policy": masked(policy), "score": score, "state": tree}
        write_checkpoint(checkpoint_path(self._folder, which), content)


def checkpoint_path(folder: Path, which: Which) -> Path:
    """Return the path of a checkpoint in a run's folder."""
    return folder / names.CHECKPOINT_FOLDER / f"{which}.safetensors"


def read_state(folder: Path, key: str) -> SavedState | None:
    """Return the state from which the run with this key resumes, or None if it has no checkpoint yet.

    Raises UserError if a checkpoint, the best one included, is damaged or of another run.
    """
    read_best(folder)
    path = checkpoint_path(folder, "last")
    if not path.exists():
        return None
    content = _read(path)
    if content["key"] != key:
        text = f"{path} is of another run, or config.json was changed: the keys are {content['key']} and {key}"
        raise UserError.at("checkpoint", text)
    return SavedState(**content["state"])


def read_best(folder: Path) -> tuple[SavedState, float] | None:
    """Return a run's best state and its score, or None if it has none. Raises UserError if the file is damaged."""
    path = checkpoint_path(folder, "best")
    if not path.exists():
        return None
    content = _read(path)
    return SavedState(**content["state"]), content["score"]


def read_checkpoint_policy(folder: Path, which: Which) -> tuple[dict[str, np.ndarray], PolicyDescription]:
    """Return the tensors and the description of the policy in a checkpoint. Raises UserError."""
    path = checkpoint_path(folder, which)
    if not path.is_file():
        cause = "it has no evaluation during training (evaluation.every)" if which == "best" else "none was written yet"
        raise UserError.at("run", f"{folder} has no {which} checkpoint: {cause}")
    content = _read(path)
    try:
        tensors = {name: tensor.numpy() for name, tensor in content["state"]["parameters"].items()}
        return tensors, PolicyDescription(**content["policy"])
    except (TypeError, AttributeError, IndexError) as error:
        raise UserError.at("checkpoint", f"{path} does not contain a policy: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_checkpoint(path)
    except ValueError as error:
        text = f"{error}. Nothing was changed. To resume without this checkpoint, remove the file"
        raise UserError.at("checkpoint", text) from error
    if not isinstance(content, dict) or content.keys() != _KEYS or set(content["state"]) != set(_STATE):
        raise UserError.at("checkpoint", f"{path} does not contain the state of a run")
    return content
