"""User environment that reports the process in which it is stepped."""

import os
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from tests.execution.own.mine import Clock

_reported = set[str]()


class Reporting(Clock):
    """A clock that writes its process id to a pipe at its first step, and waits until that is read."""

    def __init__(self, pipe: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pipe = pipe

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if self._pipe not in _reported:
            _reported.add(self._pipe)
            with Path(self._pipe).open("w") as pipe:
                pipe.write(str(os.getpid()))
        return super().step(action)


gym.register("Reporting-v0", entry_point=Reporting)
