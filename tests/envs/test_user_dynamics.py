"""Dynamics of a user's own: the check of their functions, and their Gymnasium environment."""

import doctest
import re
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit

from pgexp.envs.compiled import dynamics_class
from pgexp.envs.compiled.dynamics import CONTINUES, INVALID, TERMINATED, Dynamics, DynamicsEnv, check
from pgexp.kernels.random import integers, uniform

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_dynamics"


class Walk(Dynamics):
    """A walk between 0 and `length`, started at random; the action 1 is forbidden at the right end."""

    state_size = 1
    observation_space = Box(0.0, 1.0, (1,), np.float32)
    action_space: Any = Discrete(2)
    masked = True

    def __init__(self, length: float = 3) -> None:
        self.parameters = [length]

    @staticmethod
    def reset(state, rng, parameters):
        state[0] = integers(rng, 3)

    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = -1.0
        if action[0] == 1.0 and state[0] == parameters[0]:
            return INVALID
        state[0] += 1.0 if action[0] == 1.0 else -1.0
        return TERMINATED if state[0] < 0.0 else CONTINUES

    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = np.float32(max(state[0], 0.0) / parameters[0])
        mask[0] = True
        mask[1] = state[0] < parameters[0]


def test_correct_dynamics_pass() -> None:
    check(Walk(), steps=500)


def test_parameters_are_float64_whatever_they_are_set_to() -> None:
    parameters = Walk(length=np.float32(5)).parameters
    assert (parameters.tolist(), parameters.dtype) == ([5.0], np.float64)
    assert dynamics_class("pgexp/ShortCorridor-v0")().parameters.shape == (0,)


class NoSize(Walk):
    state_size = 0


class DiscreteObservation(Walk):
    observation_space: Any = Discrete(3)


class TupleAction(Walk):
    action_space = gym.spaces.Tuple([Discrete(2)])


class ZeroLimit(Walk):
    max_episode_steps = 0


class TooFewArguments(Walk):
    @staticmethod
    def step(state, action, rng, reward):
        return CONTINUES


class WithSelf(Walk):
    def reset(self, state, rng, parameters):
        state[0] = 0.0


class ReturnsNothing(Walk):
    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = 1.0


class ReturnsThree(Walk):
    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = 1.0
        return 3


class ReturnsFloat(Walk):
    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = 1.0
        return 1.0


class RefusesAllowedAction(Walk):
    @staticmethod
    def step(state, action, rng, parameters, reward):
        return INVALID


class NoReward(Walk):
    @staticmethod
    def step(state, action, rng, parameters, reward):
        return CONTINUES


class InfiniteReward(Walk):
    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = 1.0 / (state[0] - state[0])
        return CONTINUES


class NoState(Walk):
    @staticmethod
    def reset(state, rng, parameters):
        pass


class InfiniteState(Walk):
    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = 1.0
        state[0] = np.inf
        return CONTINUES


class StateOutOfRange(Walk):
    @staticmethod
    def reset(state, rng, parameters):
        state[1] = 0.0


class ObservationOutOfRange(Walk):
    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = 0.0
        observation[1] = 0.0


class MaskInPart(Walk):
    @staticmethod
    def observe(state, parameters, observation, mask):
        Walk.observe(state, parameters, observation, np.zeros(2, dtype=np.bool_))
        mask[0] = True  # and never mask[1]


class MaskOfUnmasked(Walk):
    masked = False

    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = 0.0
        mask[0] = False


class NoObservation(Walk):
    @staticmethod
    def observe(state, parameters, observation, mask):
        mask[:] = True


class OutsideTheSpace(Walk):
    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = 2.0
        mask[:] = True


class NotRounded(Walk):
    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = 0.1
        mask[:] = True


class NothingAllowed(Walk):
    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = 0.0
        mask[:] = False


class OneComponentForbidden(Walk):
    action_space = MultiDiscrete([2, 3])

    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = 0.0
        mask[:2] = True
        mask[2:] = False


def plain_python(x: float) -> float:
    return x


class CallsPlainPython(Walk):
    @staticmethod
    def reset(state, rng, parameters):
        state[0] = plain_python(0.0)


class OpensFile(Walk):
    @staticmethod
    def reset(state, rng, parameters):
        state[0] = 0.0
        with Path(__file__).open() as file:
            file.close()


class MixesTypes(Walk):
    @staticmethod
    def reset(state, rng, parameters):
        state[0] = len({1, "a"}) - 2


MISTAKES: list[tuple[type[Dynamics], str]] = [
    (NoSize, "NoSize.state_size: must be a positive int (got 0)"),
    (DiscreteObservation, "DiscreteObservation.observation_space: must be a gymnasium.spaces.Box (got Discrete(3))"),
    (TupleAction, "TupleAction.action_space: must be a Discrete, MultiDiscrete, MultiBinary or Box (got Tuple("),
    (ZeroLimit, "ZeroLimit.max_episode_steps: must be a positive int or None (got 0)"),
    (
        TooFewArguments,
        "TooFewArguments.step: must have 5 arguments (state, action, rng, parameters, reward) "
        "(got 4: state, action, rng, reward)",
    ),
    (WithSelf, "WithSelf.reset: must have 3 arguments (state, rng, parameters) (got 4: self, state, rng, parameters)"),
    (ReturnsNothing, "ReturnsNothing.step: must return CONTINUES (0), TERMINATED (1) or INVALID (2) (got None)"),
    (ReturnsThree, "ReturnsThree.step: must return CONTINUES (0), TERMINATED (1) or INVALID (2) (got 3)"),
    (ReturnsFloat, "ReturnsFloat.step: must return CONTINUES (0), TERMINATED (1) or INVALID (2) (got 1.0)"),
    (RefusesAllowedAction, "RefusesAllowedAction.step: must accept every action that the action space and the mask"),
    (NoReward, "NoReward.step: must write a finite number into reward[0] (got nan)"),
    (InfiniteReward, "InfiniteReward.step: must write a finite number into reward[0] (got inf)"),
    (NoState, "NoState.reset: must write a finite number into state[0] (got nan)"),
    (InfiniteState, "InfiniteState.step: must write a finite number into state[0] (got inf)"),
    (StateOutOfRange, "StateOutOfRange.reset: raised IndexError: index 1 is out of bounds for axis 0 with size 1"),
    (ObservationOutOfRange, "ObservationOutOfRange.observe: raised IndexError: index 1 is out of bounds"),
    (MaskInPart, "MaskInPart.observe: must write every entry of mask (mask[1] is unchanged)"),
    (MaskOfUnmasked, "MaskOfUnmasked.observe: must not write into mask, because masked is False"),
    (NoObservation, "NoObservation.observe: must write a finite number into observation[0] (got nan)"),
    (
        OutsideTheSpace,
        "OutsideTheSpace.observe: observation[0] must be within observation_space, from 0.0 to 1.0 (got 2.0)",
    ),
    (NotRounded, "NotRounded.observe: observation[0] must be a float32 number, the dtype of observation_space"),
    (NothingAllowed, "NothingAllowed.observe: mask must allow at least one action per component (got [0, 0] in state"),
    (
        OneComponentForbidden,
        "OneComponentForbidden.observe: mask must allow at least one action per component (got [1, 1, 0, 0, 0]",
    ),
    (CallsPlainPython, "Untyped global name 'plain_python'"),
    (OpensFile, "OpensFile.reset: numba cannot compile it (test_user_dynamics.py, line "),
    (MixesTypes, "MixesTypes.reset: numba cannot compile it (test_user_dynamics.py, line "),
]


@pytest.mark.parametrize(("mistaken", "message"), MISTAKES)
def test_the_check_names_the_mistake_in_one_line(mistaken: type[Dynamics], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        check(mistaken())
    assert str(raised.value).startswith(f"{mistaken.__name__}.")
    assert "\n" not in str(raised.value)


def line_of(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return 1 + next(i for i, line in enumerate(lines) if line.strip() == text)


@pytest.mark.parametrize(
    ("mistaken", "text"),
    [
        (StateOutOfRange, "state[1] = 0.0"),
        (ObservationOutOfRange, "observation[1] = 0.0"),
        (CallsPlainPython, "state[0] = plain_python(0.0)"),
    ],
)
def test_the_check_gives_the_line(mistaken: type[Dynamics], text: str) -> None:
    with pytest.raises(ValueError, match=rf"\(test_user_dynamics.py, line {line_of(text)}\)"):
        check(mistaken())


def test_a_missing_function_is_named() -> None:
    class NoStep(Dynamics):
        reset = Walk.reset
        observe = Walk.observe

    with pytest.raises(TypeError, match=r"abstract class NoStep .*'?step'?"):
        NoStep()  # type: ignore[abstract]


class Levers(Dynamics):
    """Pays the number whose digits are the action's components, lowest first."""

    state_size = 1
    observation_space = Box(0.0, 1.0, (1,), np.float64)
    action_space: Any = MultiBinary(3)

    @staticmethod
    def reset(state, rng, parameters):
        state[0] = uniform(rng, 0.0, 1.0)

    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = 0.0
        for i in range(action.size):
            reward[0] += action[i] * 10.0**i
        return CONTINUES

    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = state[0]


class MaskedLevers(Levers):
    masked = True

    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = state[0]
        for i in range(mask.size):
            mask[i] = i != 1


class Dials(Levers):
    action_space = MultiDiscrete([2, 4], start=[0, 5])


class MaskedDials(Dials):
    masked = True
    observe = MaskedLevers.observe


class Pedals(Levers):
    action_space = Box(-1.0, 1.0, (2, 2), np.float32)


class Shifted(Levers):
    action_space = Discrete(3, start=4)


@pytest.mark.parametrize(
    ("dynamics", "action", "reward", "mask"),
    [
        (Levers, np.array([1, 0, 1], dtype=np.int8), 101.0, None),
        (MaskedLevers, np.array([1, 0, 1], dtype=np.int8), 101.0, [1, 0, 1]),
        (Dials, np.array([1, 7]), 21.0, None),
        (MaskedDials, np.array([1, 7]), 21.0, [1, 0, 1, 1, 1, 1]),
        (Pedals, np.array([[1, -1], [0.5, 0]], dtype=np.float32), 41.0, None),
        (Shifted, 6, 2.0, None),
    ],
)
def test_every_action_space_works(dynamics: type[Dynamics], action: Any, reward: float, mask: list[int] | None) -> None:
    check(dynamics())
    env = DynamicsEnv(dynamics())
    check_env(env, skip_render_check=True)
    env.reset(seed=1)
    _, found, terminated, truncated, info = env.step(action)
    assert (found, terminated, truncated) == (reward, False, False)
    if mask is None:
        assert info == {}
    else:
        assert info["action_mask"].dtype == np.int8
        assert info["action_mask"].tolist() == mask


def test_the_environment_equals_gymnasiums() -> None:
    env, ours = gym.make("Pendulum-v1"), TimeLimit(DynamicsEnv(dynamics_class("Pendulum-v1")()), 200)
    chance = np.random.default_rng(1)
    for seed in (3, None, 5, None):
        found = [env.reset(seed=seed)[0], ours.reset(seed=seed)[0]]
        truncated = False
        while not truncated:
            assert found[0].tobytes() == found[1].tobytes()
            assert found[0].dtype == found[1].dtype
            action = chance.normal(0, 2, 1)
            (*expected, _), (*step, _) = env.step(action.astype(np.float32)), ours.step(action)
            assert expected[1:] == step[1:]
            found, truncated = [expected[0], step[0]], step[3]


def test_actions_that_are_not_allowed_are_refused() -> None:
    env = DynamicsEnv(Walk())
    with pytest.raises(RuntimeError, match="before reset"):
        env.step(0)
    observation, info = env.reset(seed=1)
    with pytest.raises(ValueError, match=r"must be in Discrete\(2\) \(got 2\)"):
        env.step(2)
    while info["action_mask"][1]:
        observation, *_, info = env.step(1)
    assert observation == 1.0
    with pytest.raises(ValueError, match="not allowed in this state"):
        env.step(1)


def test_episodes_without_a_seed_continue_the_generator() -> None:
    env, other = DynamicsEnv(Levers()), DynamicsEnv(Levers())
    draws = np.random.default_rng(7)
    assert [env.reset(seed=seed)[0][0] for seed in (7, None, None)] == draws.uniform(0.0, 1.0, 3).tolist()
    assert env.reset(seed=7)[0] == np.random.default_rng(7).uniform(0.0, 1.0)
    assert other.reset()[0] != DynamicsEnv(Levers()).reset()[0]


@pytest.fixture
def inventory(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import inventory

    yield inventory.Inventory(price=4.0, cost=2.0, delivery=3.0, holding=0.2)
    del sys.modules["inventory"]


def expected_return(choose: Any, days: int = 50) -> float:
    """Return the example's expected return from a random stock, by dynamic programming over the demand."""
    value = np.zeros(21)
    for _ in range(days):
        following = value.copy()
        for stock in range(21):
            returns = []
            for order in choose(stock):
                sold = np.minimum(stock + order, np.arange(10))
                left = stock + order - sold
                costs = 2.0 * order + 3.0 * (order > 0)
                returns.append(np.mean(4.0 * sold - 0.2 * left + following[left]) - costs)
            value[stock] = np.mean(returns)
    return float(value.mean())


def test_the_example_has_the_returns_of_its_readme(inventory: Dynamics) -> None:
    check(inventory, steps=1000)
    policies = {
        "203.0": lambda stock: range(21 - stock),
        "284.2": lambda stock: [max(8 - stock, 0)],
        "325.3": lambda stock: [14 - stock if stock < 5 else 0],
    }
    readme = (EXAMPLE / "README.md").read_text()
    env = TimeLimit(DynamicsEnv(inventory), 50)
    chance = np.random.default_rng(1)
    for written, choose in policies.items():
        assert f"| {written} |" in readme
        assert f"{expected_return(choose):.1f}" == written
        returns = []
        for seed in range(200):
            observation, info = env.reset(seed=seed)
            total, truncated = 0.0, False
            while not truncated:
                order = int(chance.choice(choose(round(float(observation[0]) * 20))))
                assert info["action_mask"][order] == 1
                observation, reward, _, truncated, info = env.step(order)
                total += reward
            returns.append(total)
        assert abs(np.mean(returns) - float(written)) < 5 * np.std(returns) / 200**0.5 + 0.05


def test_the_examples_readme_shows_what_python_prints(inventory: Dynamics) -> None:
    failed, tried = doctest.testfile(str(EXAMPLE / "README.md"), module_relative=False)
    assert (failed, tried > 5) == (0, True)
