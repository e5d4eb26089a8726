"""Small environments whose best policy is known. Importing this module registers them with Gymnasium.

Each raises if it is misused: started without a seed, or stepped before a start or with an action outside its space.
"""

import os
from copy import deepcopy
from time import sleep
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray

Observation = NDArray[np.float32]
Step = tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]


class Probe(gym.Env[Observation, int]):
    """Base class of the probes. It counts the time and checks that an episode runs."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - Gymnasium's way

    def __init__(self, observations: int, actions: int, start: int = 0, render_mode: str | None = None) -> None:
        self.observation_space = Box(-np.inf, np.inf, (observations,), np.float32)
        self.action_space = Discrete(actions, start=start)
        self.render_mode = render_mode
        self.time = 0
        self.running = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Observation, dict[str, Any]]:
        assert seed is not None, "an episode without a seed"
        self.seed, self.time, self.running = seed, 0, True
        return self._observed(), {}

    def step(self, action: int) -> Step:
        assert self.running, "a step without a running episode"
        assert self.action_space.contains(action), action
        reward = self.reward(action)
        self.time += 1
        terminated, truncated = self.ends()
        self.running = not (terminated or truncated)
        return self._observed(), reward, terminated, truncated, {}

    def render(self) -> NDArray[np.uint8]:
        """Return an image; its brightness is the time."""
        return np.full((2, 2, 3), self.time, dtype=np.uint8)

    def _observed(self) -> Observation:
        return np.array(self.observation(), dtype=np.float32)

    def observation(self) -> list[float]:
        raise NotImplementedError

    def reward(self, action: int) -> float:
        raise NotImplementedError

    def ends(self) -> tuple[bool, bool]:
        """Return whether the episode is now terminated, and whether truncated."""
        raise NotImplementedError


class Arms(Probe):
    """One step, one constant observation; arm k pays k. The best return is the last arm's number."""

    def __init__(self, arms: int = 2, **kwargs: Any) -> None:
        super().__init__(1, arms, **kwargs)

    def observation(self) -> list[float]:
        return [1.0]

    def reward(self, action: int) -> float:
        return float(action)

    def ends(self) -> tuple[bool, bool]:
        return True, False


class Delayed(Probe):
    """Two steps, distinguished by the observation. The second pays the first one's action. The best return is 1.

    Crediting an action with its own step's reward, or with another episode's, learns nothing here.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(2, 2, **kwargs)

    def observation(self) -> list[float]:
        return [1.0, 0.0] if self.time == 0 else [0.0, 1.0]

    def reward(self, action: int) -> float:
        if self.time == 0:
            self.first = action
            return 0.0
        return float(self.first)

    def ends(self) -> tuple[bool, bool]:
        return self.time == 2, False


class Match(Probe):
    """One step; observes 1 or -1 with equal probability; action 1 or 0, respectively, pays 1. The best return is 1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 2, **kwargs)

    def observation(self) -> list[float]:
        return [1.0 if self.seed % 2 else -1.0]

    def reward(self, action: int) -> float:
        return float(action == self.seed % 2)

    def ends(self) -> tuple[bool, bool]:
        return True, False


class Clock(Probe):
    """A step pays 1 and shows the time; the episode terminates after `length` steps, 0 for never."""

    def __init__(self, length: int = 0, actions: int = 4, **kwargs: Any) -> None:
        super().__init__(1, actions, **kwargs)
        self.length = length

    def observation(self) -> list[float]:
        return [float(self.time)]

    def reward(self, action: int) -> float:
        return 1.0

    def ends(self) -> tuple[bool, bool]:
        return self.time == self.length, False


class Diary(Probe):
    """An environment whose transitions are functions of its episode's seed: see below.

    It ends by termination, by truncation, or by both in the same step, as its seed says.
    """

    def __init__(self, longest: int = 7, actions: int = 4, start: int = 0, **kwargs: Any) -> None:
        super().__init__(3, actions, start, **kwargs)
        self.longest = longest

    def observation(self) -> list[float]:
        return diary_observation(self.seed, self.time)

    def reward(self, action: int) -> float:
        return diary_reward(self.seed, self.time, action)

    def ends(self) -> tuple[bool, bool]:
        if self.time < diary_length(self.seed, self.longest):
            return False, False
        return diary_end(self.seed)


def diary_observation(seed: int, time: int) -> list[float]:
    """Return the seed's two halves, which single precision holds exactly, and the time."""
    return [float(seed >> 16), float(seed & 0xFFFF), float(time)]


def diary_reward(seed: int, time: int, action: int) -> float:
    """Return the reward of a step; the action is as the environment received it."""
    return 100.0 * action + time + (seed % 8) / 8


def diary_length(seed: int, longest: int = 7) -> int:
    """Return an episode's number of steps, from 1 to the longest."""
    return 1 + seed % longest


def diary_end(seed: int) -> tuple[bool, bool]:
    """Return whether an episode is terminated at its end, and whether truncated; it may be both."""
    return seed % 3 != 1, seed % 3 != 0


class Poisoned(Clock):
    """A clock of four steps that pays NaN in the episode of one seed."""

    def __init__(self, poisoned: int = -1, **kwargs: Any) -> None:
        super().__init__(4, 2, **kwargs)
        self.poisoned = poisoned

    def reward(self, action: int) -> float:
        return float("nan") if self.seed == self.poisoned else float(action)


class Walk(Probe):
    """A walk on the line, a step right for action 1 and left for 0; it ends 6 from where it began.

    Its length depends on every action taken, so equal lengths are evidence of equal actions.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(2, 2, **kwargs)

    def observation(self) -> list[float]:
        if self.time == 0:
            self.place = 0
        return [float(self.place), float(self.time % 2)]

    def reward(self, action: int) -> float:
        self.place += 1 if action == 1 else -1
        return float(self.place)

    def ends(self) -> tuple[bool, bool]:
        return abs(self.place) == 6, False


class Picture(Probe):
    """One step; it observes a Box of rank 2, of whole numbers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 2, **kwargs)
        self.observation_space = Box(0, 255, (2, 3), np.uint8)

    def _observed(self) -> Any:
        return np.array([[0, 1, 2], [3, 4, 5 + self.time]], dtype=np.uint8)

    def reward(self, action: int) -> float:
        return 0.0

    def ends(self) -> tuple[bool, bool]:
        return True, False


class Recall(Probe):
    """It shows 1 or -1, then zeros; the last step pays 1 for action 1 or 0, respectively, as shown at the first step.

    The last observation is the same in all episodes: without a memory the mean return is 1/2. The best
    return is 1.
    """

    def __init__(self, delay: int = 3, **kwargs: Any) -> None:
        super().__init__(2, 2, **kwargs)
        self.delay = delay

    def observation(self) -> list[float]:
        shown = 0.0 if self.time else (1.0 if self.seed % 2 else -1.0)
        return [shown, float(self.time == self.delay)]

    def reward(self, action: int) -> float:
        return float(self.time == self.delay and action == self.seed % 2)

    def ends(self) -> tuple[bool, bool]:
        return self.time > self.delay, False


class Bars(Probe):
    """One step; an image of a bar, vertical or horizontal; action 1 for vertical and 0 for horizontal pays 1.

    Over all places, both kinds light each pixel equally often, so no linear function of pixels distinguishes them.
    The best return is 1.
    """

    SIZE, LENGTH = 8, 3

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 2, **kwargs)
        self.observation_space = Box(0, 255, (1, self.SIZE, self.SIZE), np.uint8)

    def _observed(self) -> Any:
        upright, place = self.seed % 2, np.random.default_rng(self.seed)
        across, along = place.integers(self.SIZE), place.integers(self.SIZE)
        picture = np.zeros((1, self.SIZE, self.SIZE), dtype=np.uint8)
        picture[0, across, (along + np.arange(self.LENGTH)) % self.SIZE] = 255
        return picture.transpose(0, 2, 1) if upright else picture

    def reward(self, action: int) -> float:
        return float(action == self.seed % 2)

    def ends(self) -> tuple[bool, bool]:
        return True, False


class Target(Probe):
    """One step, one constant observation; a real action pays minus its squared distance from 0.5 in each component."""

    def __init__(self, size: int = 1, **kwargs: Any) -> None:
        super().__init__(1, 2, **kwargs)
        self.action_space = Box(-2.0, 2.0, (size,), np.float32)

    def observation(self) -> list[float]:
        return [1.0]

    def reward(self, action: Any) -> float:
        return -float(np.square(action - 0.5).sum())

    def ends(self) -> tuple[bool, bool]:
        return True, False


class Switches(Target):
    """One step; each of three switches that is on pays its number, except for the first, which costs 1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.action_space = MultiBinary(3)

    def reward(self, action: Any) -> float:
        return float(np.dot(action, [-1, 1, 2]))


class Dials(Target):
    """One step; two dials, counted from 1: the first pays for a high position, the second for a low one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.action_space = MultiDiscrete([3, 4], start=[1, 1])

    def reward(self, action: Any) -> float:
        return float(action[0] - action[1])


class Refusing(Arms):
    """An environment with a constructor that raises."""

    def __init__(self, error: str = "ValueError", **kwargs: Any) -> None:
        raise {"ValueError": ValueError, "KeyError": KeyError, "AssertionError": AssertionError}[error]("size 9 is odd")


class Failing(Diary):
    """A diary in which the first step of one seed's episode raises an exception, "exit"s the process, or "hang"s."""

    def __init__(self, when: int = -1, deed: str = "ValueError", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.when, self.deed = when, deed

    def reward(self, action: int) -> float:
        if self.seed == self.when:
            fail(self.deed)
        return super().reward(action)


class Faulty(Walk):
    """A walk with a fault in one seed's episode at a time; at time 0 it is in the reset.

    It "raise"s, "exit"s the process, pays or shows a number that is not finite, or shows "three" numbers in place of
    two. A fault in two parts, such as "show nan, raise", has the second one a step later.
    """

    def __init__(self, when: int = -1, fault: str = "raise", at: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.when, self.faults, self.at = when, fault.split(", "), at

    def now(self) -> str:
        """Return the fault at this time."""
        number = self.time - self.at
        return self.faults[number] if self.seed == self.when and 0 <= number < len(self.faults) else ""

    def reward(self, action: int) -> float:
        paid, fault = super().reward(action), self.now()
        return float(fault.removeprefix("pay ")) if fault.startswith("pay ") else paid

    def _observed(self) -> Observation:
        seen, fault = super()._observed(), self.now()
        if fault in ("raise", "exit"):
            fail({"raise": "ValueError"}.get(fault, fault))
        if fault.startswith("show "):
            seen[1] = float(fault.removeprefix("show "))
        return np.zeros(3, dtype=np.float32) if fault == "three" else seen


class Endless(Faulty):
    """A walk whose place becomes NaN. It then has no end, because comparisons with NaN are false."""

    def reward(self, action: int) -> float:
        if self.now() == "lose":
            self.place = float("nan")
        return super().reward(action)


class StubbornError(Exception):
    """An exception that cannot be pickled, because its constructor does not accept its message."""

    def __init__(self, part: str, state: str) -> None:
        super().__init__(f"{part} is {state}")


def fail(deed: str) -> None:
    """Exit, hang, or raise, as `deed` says."""
    if deed == "exit":
        os._exit(3)
    while deed == "hang":
        sleep(1)
    if deed == "StubbornError":
        raise StubbornError("the motor", "stuck")
    kinds: tuple[type[BaseException], ...] = (ValueError, EOFError, SystemExit, KeyboardInterrupt)
    raise {kind.__name__: kind for kind in kinds}[deed]("the motor is stuck")


class Unrepeatable(Clock):
    """A clock that depends on the number of episodes begun in the process.

    The number is `seen`, `paid`, or decides how long an episode `lasts`: a thousand steps less the number.
    """

    begun = 0

    def __init__(self, shows: str = "seen", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shows = shows

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Observation, dict[str, Any]]:
        Unrepeatable.begun += 1
        self.number = Unrepeatable.begun
        return super().reset(seed=seed, options=options)

    def observation(self) -> list[float]:
        return [float(self.number if self.shows == "seen" else self.time)]

    def reward(self, action: int) -> float:
        return float(self.number if self.shows == "paid" else 1)

    def ends(self) -> tuple[bool, bool]:
        return self.shows == "lasts" and self.time >= 1_000 - self.number, False


class Place(Arms):
    """Arms that observe the process id."""

    def observation(self) -> list[float]:
        return [float(os.getpid())]


class Echo(gym.Env[Any, Any]):
    """An environment with any two spaces. The reward is a weighted sum of the action's numbers.

    The observation is the space's sample for the episode's seed plus the time. An episode has four steps.
    """

    def __init__(self, observation: Space[Any], action: Space[Any]) -> None:
        self.observation_space, self.action_space = observation, action

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        assert seed is not None, "an episode without a seed"
        self.seed, self.time = seed, 0
        return echo_observation(self.observation_space, seed, 0), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), (action, type(action))
        self.time += 1
        observation = echo_observation(self.observation_space, self.seed, self.time)
        return observation, echo_reward(action), self.time == 4, False, {}


def echo_observation(space: Space[Any], seed: int, time: int) -> Any:
    """Return an echo's observation."""
    mine = deepcopy(space)
    mine.seed(seed + time)
    return mine.sample()


def echo_reward(action: Any) -> float:
    """Return an echo's reward: 1 x the action's first number + 2 x its second ..."""
    numbers = np.ravel(action)
    return float(sum((place + 1) * number for place, number in enumerate(numbers.tolist())))


GAMES = (Arms, Delayed, Match, Clock, Diary, Walk, Picture, Recall, Bars, Target, Switches, Dials, Echo)
MISBEHAVING = (Poisoned, Refusing, Failing, Faulty, Endless, Unrepeatable, Place)
for probe in (*GAMES, *MISBEHAVING):
    gym.register(f"pgexp-probe/{probe.__name__}-v0", probe)
