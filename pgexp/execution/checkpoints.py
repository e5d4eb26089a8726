"""One run's checkpoints: the last one, from which it goes on, and the best by its evaluations during training."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from pgexp.learning.state import State
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import CHECKPOINT_FOLDER
from pgexp.storage.checkpoint import read_checkpoint, write_checkpoint
from pgexp.storage.policy_description import PolicyDescription
from pgexp.storage.secrets import masked

Which = Literal["last", "best"]

_KEYS: Final = {"key", "policy", "score", "state"}
_STATE: Final = tuple(field.name for field in fields(State))  # in one order, so that equal states make equal files


class Checkpoints:
    """Where a run's states are kept: `checkpoint/last.safetensors` and `checkpoint/best.safetensors`.

    The best is the first of those with the highest mean return of an evaluation during training. To choose by a score
    overstates it: evaluate such a policy anew before telling how good it is.
    """

    def __init__(self, folder: Path, key: str, describe: Callable[[int], dict[str, Any]]) -> None:
        """Take the run's folder, its key, and what describes its policy after so many steps."""
        self._folder, self._key, self._describe = folder, key, describe
        best = read_best(folder)
        self._best = best[1] if best is not None else None

    def keep_last(self, state: State) -> None:
        """Keep the state that a run goes on from."""
        self._write("last", state, None)

    def keep_best(self, state: State, score: float) -> None:
        """Keep a state if its evaluation's mean return is above all before."""
        if self._best is None or score > self._best:
            self._best = score
            self._write("best", state, score)

    def _write(self, which: Which, state: State, score: float | None) -> None:
        tree = {name: getattr(state, name) for name in _STATE}
        policy = masked(self._describe(state.counters["steps"]))
        write_checkpoint(
            checkpoint_path(self._folder, which), {"key": self._key, "policy": policy, "score": score, "state": tree}
        )


def checkpoint_path(folder: Path, which: Which) -> Path:
    """Return where a run's folder keeps a checkpoint."""
    return folder / CHECKPOINT_FOLDER / f"{which}.safetensors"


def read_state(folder: Path, key: str) -> State | None:
    """Return the state that the run of that key goes on from, or None if it has no checkpoint yet.

    Raises ConfigError where the file is damaged, or another run's, or the best one's is damaged: that is gone on with
    as well.
    """
    read_best(folder)
    path = checkpoint_path(folder, "last")
    if not path.exists():
        return None
    found = _read(path)
    if found["key"] != key:
        text = f"{path} is of another run, or config.json was changed since: their keys are {found['key']} and {key}"
        raise ConfigError([Problem("checkpoint", text)])
    return State(**found["state"])


def read_best(folder: Path) -> tuple[State, float] | None:
    """Return a run's best state and its score, or None if it has none. Raises ConfigError where the file is damaged."""
    path = checkpoint_path(folder, "best")
    if not path.exists():
        return None
    found = _read(path)
    return State(**found["state"]), found["score"]


def policy_of(folder: Path, which: Which) -> tuple[dict[str, np.ndarray], PolicyDescription]:
    """Return the policy in a checkpoint: its tensors and its description. Raises ConfigError."""
    path = checkpoint_path(folder, which)
    if not path.is_file():
        run = "has no evaluation during training (evaluation.every)" if which == "best" else "has kept none yet"
        raise ConfigError([Problem("run", f"{folder} holds no {which} checkpoint: the run {run}")])
    found = _read(path)
    try:
        tensors = {name: tensor.numpy() for name, tensor in found["state"]["parameters"].items()}
        return tensors, PolicyDescription(**found["policy"])
    except (TypeError, AttributeError, IndexError) as error:
        raise ConfigError([Problem("checkpoint", f"{path} holds no policy: {error}")]) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        found = read_checkpoint(path)
    except ValueError as error:
        text = f"{error}. Nothing was changed; to go on without this checkpoint, remove the file"
        raise ConfigError([Problem("checkpoint", text)]) from error
    if not isinstance(found, dict) or found.keys() != _KEYS or set(found["state"]) != set(_STATE):
        raise ConfigError([Problem("checkpoint", f"{path} holds no state of a run")])
    return found
