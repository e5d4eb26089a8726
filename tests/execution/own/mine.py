"""User module with a baseline, networks and environments."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete, Text
from torch import Tensor, nn

from pgexp.baselines.baseline import Baseline
from pgexp.envs.compiled.dynamics import TERMINATED, Dynamics
from pgexp.functional.batch import Batch, Returns
from pgexp.networks.layers import Dense
from pgexp.networks.network import Network, Parameters, Streams
from pgexp.schema.types import Fraction, PositiveInt


class Level(Baseline):
    """``b = level``."""

    biased = True

    def __init__(self, level: Fraction) -> None:
        self._level = level

    def values(self, batch: Batch, returns: Returns) -> np.ndarray:
        return np.full(batch.steps, self._level)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        return {"baseline/level": self._level}


class Squeeze(Network):
    """Two affine layers with few units in between."""

    def __init__(self, inputs: int, outputs: int, units: PositiveInt) -> None:
        self._layers = (Dense("in", inputs, units, "xavier", 1.0), Dense("out", units, outputs, "zeros", 1.0))

    def initial(self, streams: Streams) -> Parameters:
        return {name: tensor for layer in self._layers for name, tensor in layer.initial(streams).items()}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer(parameters, x)
        return x


class Tower(nn.Sequential):
    """A module whose layers have kernels, unless it has dropout."""

    def __init__(self, inputs: int, outputs: int, units: PositiveInt, dropout: float = 0.0) -> None:
        middle = [nn.Dropout(dropout)] if dropout else []
        super().__init__(nn.Linear(inputs, units), nn.Tanh(), *middle, nn.Linear(units, outputs))


class Unrelated:
    """Class that is neither a baseline nor a network nor an environment."""


def fail() -> None:
    raise RuntimeError("the motor is stuck")


def lose() -> None:
    raise ConnectionResetError(errno.ECONNRESET, "the simulator is gone")


def interrupt() -> None:
    raise KeyboardInterrupt


def interrupt_twice() -> None:
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)


def die_once() -> None:
    """Kill the process that steps the environment, unless a file in the working folder says that one was killed."""
    marker = Path("died")
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


DEEDS: dict[str, Callable[[], object]] = {
    "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "die once": die_once,
    "fail": fail,
    "interrupt": interrupt,
    "lose": lose,
    "SIGINT": lambda: os.kill(os.getpid(), signal.SIGINT),
    "SIGINT twice": interrupt_twice,
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
}


class Clock(gym.Env[np.ndarray, int]):
    """An environment that shows the time. The reward is the action's number; an episode has `length` steps.

    With length 0 an episode has 1 + seed % 7 steps. The first step of the episode with the seed `when` does a deed, or
    pays NaN. The brightness of a frame shows the time.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - Gymnasium's way

    def __init__(self, length: int = 4, when: int = -1, deed: str = "", render_mode: str | None = None) -> None:
        self.observation_space = Box(-np.inf, np.inf, (1,), np.float32)
        self.action_space = Discrete(2)
        self.render_mode = render_mode
        self._length, self._deeds = length, {when: deed}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        assert seed is not None, "an episode without a seed"
        self._time, self._end = 0, self._length or 1 + seed % 7
        self._deed = self._deeds.get(seed, "")
        return self._observed(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        deed, self._deed = self._deed, ""
        if deed in DEEDS:
            DEEDS[deed]()
        self._time += 1
        reward = np.nan if deed == "pay NaN" else float(action)
        return self._observed(), reward, self._time == self._end, False, {}

    def render(self) -> np.ndarray:
        return np.full((32, 32, 3), 32 * self._time, dtype=np.uint8)

    def _observed(self) -> np.ndarray:
        return np.array([self._time], dtype=np.float32)


class Overexposed(Clock):
    """Clock whose second frame cannot be rendered in the episode of the seed `when`."""

    def __init__(self, when: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._when = when

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self._seed = seed
        return super().reset(seed=seed, options=options)

    def render(self) -> np.ndarray:
        if self._seed == self._when and self._time == 1:
            raise OSError("too bright")
        return super().render()


class Guarded(Clock):
    """Clock that needs a token."""

    def __init__(self, token: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        assert len(token) == 6


class Wordy(Clock):
    """Clock whose action is a text, which no head supports."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = Text(3)


class Blind(Clock):
    """Clock that renders no images, and whose action has no bounds."""

    metadata = {"render_modes": [], "render_fps": 10}  # noqa: RUF012 - Gymnasium's way

    def __init__(self) -> None:
        super().__init__()
        self.action_space = Box(-np.inf, np.inf, (2, 2), np.float32)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return super().step(int(action.sum() > 0))


class Lake(Dynamics):
    """Dynamics of one step. The observation is `slip`, and the reward is the action's number."""

    state_size = 1
    observation_space = Box(0.0, 1.0, (1,), np.float64)
    action_space = Discrete(2)

    def __init__(self, slip: Fraction) -> None:
        self.parameters = [slip]

    @staticmethod
    def reset(state, rng, parameters):
        state[0] = parameters[0]

    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = action[0]
        return TERMINATED

    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = state[0]


gym.register("Blind-v0", Blind)
gym.register("Clock-v0", Clock)
gym.register("Guarded-v0", Guarded)
gym.register("Overexposed-v0", Overexposed)
gym.register("Wordy-v0", Wordy)
