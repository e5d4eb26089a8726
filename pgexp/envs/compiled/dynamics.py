"""Interface of environments with compiled dynamics, their check, and their Gymnasium environment."""

import copy
import inspect
import math
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numba.core.errors import NumbaError, UnsupportedBytecodeError
from numpy.typing import ArrayLike, NDArray

from pgexp.kernels import compilation
from pgexp.kernels.random import seed_generator
from pgexp.kernels.signatures import CONTINUES, INVALID, OBSERVE, RESET, STEP, TERMINATED

__all__ = ["CONTINUES", "INVALID", "TERMINATED", "Array", "Dynamics", "Kernels", "Mask", "Words"]
__all__ += ["DynamicsEnv", "addresses", "check", "kernels"]

Array = NDArray[np.float64]
Words = NDArray[np.uint64]
Mask = NDArray[np.bool_]
ActionSpace = spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box

Function = Callable[..., Any]

SIGNATURES: Final = {"reset": RESET, "step": STEP, "observe": OBSERVE}


class Dynamics(ABC):
    """An environment as three functions on arrays, which numba compiles.

    A subclass sets the attributes below and implements `reset`, `step` and `observe` as static methods. They compute
    with numbers, `math`, and the functions of `pgexp.kernels.random`. They read constants from `parameters`, which the
    constructor sets to a sequence of numbers, and keep everything else in `state`. Helper functions are decorated with
    `pgexp.kernels.compilation.kernel`, or with `numba.njit` outside of pgexp.

    The functions write their results into the arrays that they receive. All arrays are float64, except `rng` (uint64
    [4], the state of a random generator) and `mask` (bool). Compiled functions do not check indices: `check` does.
    """

    state_size: int
    """D, the number of components of the state."""

    observation_space: spaces.Box
    """Space of the observations. `observe` writes them laid flat (O components) and rounded to the space's dtype."""

    action_space: ActionSpace
    """Space of the actions. `step` receives them laid flat (A components); discrete ones are counted from 0."""

    max_episode_steps: int | None = None
    """Time limit. The caller applies it."""

    reward_threshold: float | None = None
    """Mean return at which the environment counts as solved."""

    masked: bool = False
    """Whether `observe` writes a mask of the allowed actions."""

    _parameters: Array = np.zeros(0)

    @property
    def parameters(self) -> Array:
        """The constants that the three functions receive."""
        return self._parameters

    @parameters.setter
    def parameters(self, values: ArrayLike) -> None:
        self._parameters = np.array(values, dtype=np.float64, ndmin=1)

    @staticmethod
    @abstractmethod
    def reset(state: Array, rng: Words, parameters: Array) -> None:
        """Write an episode's first state into `state` [D]."""

    @staticmethod
    @abstractmethod
    def step(state: Array, action: Array, rng: Words, parameters: Array, reward: Array) -> int:
        """Replace `state` [D] by the next state and write the reward into `reward[0]`.

        `action` [A] holds a Discrete action in `action[0]`. Return TERMINATED if the next state ends the episode, else
        CONTINUES. INVALID reports an action that is not allowed; training then stops with an error.
        """

    @staticmethod
    @abstractmethod
    def observe(state: Array, parameters: Array, observation: Array, mask: Mask) -> None:
        """Write the observation of `state` into `observation` [O].

        If `masked`, also write into `mask` which actions are allowed: one entry per choice of a Discrete or
        MultiDiscrete space (components in sequence), or per component of a MultiBinary space (whether it may be 1).
        Otherwise leave `mask` unchanged: every action is allowed.
        """

    @property
    def observation_size(self) -> int:
        """O, the number of components of an observation."""
        return int(np.prod(self.observation_space.shape))

    @property
    def action_size(self) -> int:
        """A, the number of components of an action."""
        return int(np.prod(self.action_space.shape or ()))

    @property
    def mask_size(self) -> int:
        """Number of entries of the mask; 0 if the action space is a Box."""
        match self.action_space:
            case spaces.Discrete() | spaces.MultiDiscrete() as space:
                return sum(choices(space))
            case spaces.MultiBinary():
                return self.action_size
        return 0


class Kernels(NamedTuple):
    """The compiled functions, which can also be called from Python."""

    reset: Any
    step: Any
    observe: Any


def choices(space: spaces.Discrete | spaces.MultiDiscrete) -> list[int]:
    """Return the number of choices per component."""
    return np.ravel(space.n if isinstance(space, spaces.Discrete) else space.nvec).tolist()


def kernels(dynamics: Dynamics) -> Kernels:
    """Compile the dynamics' functions, or load them from the cache.

    Raises ValueError if numba cannot compile one.
    """
    compiled = []
    for name, signature in SIGNATURES.items():
        function = _function(dynamics, name)
        try:
            compiled.append(compilation.compiled(_kernel(function), signature))
        except (NumbaError, UnsupportedBytecodeError) as error:
            raise ValueError(f"{type(dynamics).__name__}.{name}: {_explanation(error, function)}") from error
    return Kernels(*compiled)


def addresses(dynamics: Dynamics) -> tuple[int, int, int]:
    """Return the addresses of the compiled reset, step and observe functions, arguments for `from_address`.

    Raises ValueError if numba cannot compile one.
    """
    reset, step, observe = map(compilation.address, kernels(dynamics), SIGNATURES.values())
    return reset, step, observe


def _function(dynamics: Dynamics, name: str) -> Function:
    """Return the class's own function, uncompiled even if the user decorated it with numba.njit."""
    function = getattr(type(dynamics), name)
    return cast(Function, getattr(function, "py_func", function))


@cache
def _kernel(function: Function) -> Any:
    return compilation.kernel(function)


def _explanation(error: Exception, function: Function) -> str:
    """Return numba's reason and the line in one sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Failed in nopython mode pipeline")]
    reason = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0].partition(". Raised from ")[0]
    place = getattr(error, "loc", None)
    file = place.filename if place else function.__code__.co_filename
    line = place.line if place else function.__code__.co_firstlineno
    return (
        f"numba cannot compile it ({Path(file).name}, line {line}): {reason.rstrip('.')}. Compiled functions can use "
        "numbers, arrays, math, and functions decorated with numba.njit."
    )


def check(dynamics: Dynamics, steps: int = 50) -> None:
    """Run the dynamics uncompiled for some steps with random actions, then compile them.

    Uncompiled functions check indices, and arrays are filled with NaN before they are written.

    Raises ValueError for the first mistake, with the class, the function, what is expected, and what was found.
    """
    name = type(dynamics).__name__
    if not isinstance(size := getattr(dynamics, "state_size", None), int) or size < 1:
        raise ValueError(f"{name}.state_size: must be a positive int (got {size!r})")
    if not isinstance(space := getattr(dynamics, "observation_space", None), spaces.Box):
        raise ValueError(f"{name}.observation_space: must be a gymnasium.spaces.Box (got {space!r})")
    if not isinstance(space := getattr(dynamics, "action_space", None), ActionSpace):
        raise ValueError(f"{name}.action_space: must be a Discrete, MultiDiscrete, MultiBinary or Box (got {space!r})")
    if not ((limit := dynamics.max_episode_steps) is None or (isinstance(limit, int) and limit > 0)):
        raise ValueError(f"{name}.max_episode_steps: must be a positive int or None (got {limit!r})")
    trial = _Trial(dynamics)
    status = TERMINATED
    with np.errstate(all="ignore"):
        for _ in range(steps):
            if status == TERMINATED:
                trial.reset()
            status = trial.step(trial.random_action())
    kernels(dynamics)


class _Trial:
    """Uncompiled dynamics with their arrays."""

    def __init__(self, dynamics: Dynamics) -> None:
        self._dynamics = dynamics
        self._generator = np.random.default_rng(0)
        self._action_space = copy.deepcopy(dynamics.action_space)
        self._action_space.seed(0)
        self._rng = self._generator.integers(2**63, size=4, dtype=np.uint64) | np.uint64(1)
        self._mask = np.ones(dynamics.mask_size, dtype=np.bool_)
        self._parameters = dynamics.parameters.copy()
        self._state = np.full(dynamics.state_size, np.nan)

    def reset(self) -> None:
        """Start an episode."""
        self._state[:] = np.nan
        self._call("reset", self._state, self._rng, self._parameters)
        self._require_finite("reset", "state", self._state)
        self._observe()

    def step(self, action: Array) -> int:
        """Take a step. Return its status."""
        reward = np.full(1, np.nan)
        tried = action.tolist()
        status = self._call("step", self._state, action, self._rng, self._parameters, reward)
        if not isinstance(status, int | np.integer | np.bool_) or status not in (CONTINUES, TERMINATED, INVALID):
            raise self._mistake("step", f"must return CONTINUES (0), TERMINATED (1) or INVALID (2) (got {status!r})")
        if status == INVALID:
            allowed = "the action space and the mask allow" if self._dynamics.masked else "the action space allows"
            raise self._mistake("step", f"must accept every action that {allowed} (got INVALID for {tried})")
        self._require_finite("step", "reward", reward)
        self._require_finite("step", "state", self._state)
        self._observe()
        return int(status)

    def random_action(self) -> Array:
        """Return an allowed action, laid flat."""
        space = self._action_space
        if isinstance(space, spaces.Box):
            return space.sample().astype(np.float64).ravel()
        if isinstance(space, spaces.MultiBinary):
            return (self._mask & (self._generator.random(self._mask.size) < 0.5)).astype(np.float64)
        parts = np.split(self._mask, np.cumsum(choices(space))[:-1])
        return np.array([self._generator.choice(np.flatnonzero(part)) for part in parts], dtype=np.float64)

    def _observe(self) -> None:
        dynamics, space = self._dynamics, self._dynamics.observation_space
        observation = np.full(dynamics.observation_size, np.nan)
        if dynamics.masked:  # twice, from different masks: each entry must be written
            self._mask[:] = True
            self._call("observe", self._state, self._parameters, observation, self._mask)
            first = self._mask.copy()
        self._mask[:] = not dynamics.masked
        self._call("observe", self._state, self._parameters, observation, self._mask)
        if dynamics.masked and not np.array_equal(first, self._mask):
            entry = int(np.argmax(first != self._mask))
            raise self._mistake("observe", f"must write every entry of mask (mask[{entry}] is unchanged)")
        self._require_finite("observe", "observation", observation)
        for i, (value, low, high) in enumerate(zip(observation, space.low.flat, space.high.flat, strict=True)):
            if not low <= value <= high:
                raise self._mistake(
                    "observe", f"observation[{i}] must be within observation_space, from {low} to {high} (got {value})"
                )
            if value != value.astype(space.dtype):
                raise self._mistake(
                    "observe",
                    f"observation[{i}] must be a {space.dtype} number, the dtype of observation_space (got {value}). "
                    f"Write np.{space.dtype}(value).",
                )
        if not dynamics.masked and not self._mask.all():
            raise self._mistake("observe", "must not write into mask, because masked is False. Set masked = True.")
        if dynamics.masked and isinstance(dynamics.action_space, spaces.Discrete | spaces.MultiDiscrete):
            for part in np.split(self._mask, np.cumsum(choices(dynamics.action_space))[:-1]):
                if not part.any():
                    raise self._mistake(
                        "observe",
                        f"mask must allow at least one action per component (got {self._mask.astype(int).tolist()} "
                        f"in state {self._state.tolist()})",
                    )

    def _call(self, name: str, *arguments: Any) -> Any:
        function = _function(self._dynamics, name)
        expected = list(inspect.signature(getattr(Dynamics, name)).parameters)
        found = list(inspect.signature(function).parameters)
        if len(found) != len(expected):
            raise self._mistake(
                name,
                f"must have {len(expected)} arguments ({', '.join(expected)}) (got {len(found)}: {', '.join(found)}). "
                "Declare it as a staticmethod.",
            )
        try:
            return function(*arguments)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            line = [frame.lineno for frame in frames if frame.filename == function.__code__.co_filename][-1]
            place = f"{Path(function.__code__.co_filename).name}, line {line}"
            raise self._mistake(name, f"raised {type(error).__name__}: {error} ({place})") from error

    def _require_finite(self, name: str, array: str, values: Array) -> None:
        for i, value in enumerate(values.tolist()):
            if not math.isfinite(value):
                raise self._mistake(name, f"must write a finite number into {array}[{i}] (got {value})")

    def _mistake(self, name: str, problem: str) -> ValueError:
        return ValueError(f"{type(self._dynamics).__name__}.{name}: {problem}")


class DynamicsEnv(gym.Env[NDArray[Any], Any]):
    """One row of the dynamics. Its episodes equal those of the compiled loop for the same seeds and actions.

    It applies no time limit: wrap it in `gymnasium.wrappers.TimeLimit`. If the dynamics are masked,
    `info["action_mask"]` says which actions are allowed (int8).
    """

    def __init__(self, dynamics: Dynamics) -> None:
        self.observation_space = dynamics.observation_space
        self.action_space = dynamics.action_space
        self._kernels = kernels(dynamics)
        self._masked = dynamics.masked
        self._parameters = dynamics.parameters
        self._rng: NDArray[np.uint64] | None = None
        self._state = np.zeros(dynamics.state_size)
        self._reward = np.zeros(1)
        self._observation = np.zeros(dynamics.observation_size)
        self._mask = np.zeros(dynamics.mask_size, dtype=np.bool_)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode, with a generator of this seed or, if it is None, with the generator of the last episode."""
        super().reset(seed=seed)
        if self._rng is None or seed is not None:
            self._rng = np.zeros(4, dtype=np.uint64)
            seed_generator(self.np_random.integers(2**31) if seed is None else seed, self._rng)
        self._kernels.reset(self._state, self._rng, self._parameters)
        return self._observe()

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Take a step. Raises ValueError if the action is not allowed, RuntimeError before the first reset."""
        if self._rng is None:
            raise RuntimeError("step was called before reset")
        if not isinstance(self.action_space, spaces.Box) and not self.action_space.contains(action):
            raise ValueError(f"the action must be in {self.action_space} (got {action!r})")
        start = getattr(self.action_space, "start", 0)
        flat = (np.asarray(action, dtype=self.action_space.dtype) - start).astype(np.float64).reshape(-1)
        status = self._kernels.step(self._state, flat, self._rng, self._parameters, self._reward)
        if status == INVALID:
            raise ValueError(f"the action is not allowed in this state (got {action!r})")
        observation, info = self._observe()
        return observation, float(self._reward[0]), status == TERMINATED, False, info

    def _observe(self) -> tuple[NDArray[Any], dict[str, Any]]:
        self._kernels.observe(self._state, self._parameters, self._observation, self._mask)
        space = self.observation_space
        observation = self._observation.astype(space.dtype).reshape(space.shape)
        return observation, {"action_mask": self._mask.astype(np.int8)} if self._masked else {}
