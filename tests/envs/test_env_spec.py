"""What an environment is, is found out before anything is built on it; what can't be used is told."""

import pickle
import sys
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.wrappers.vector import NormalizeReward as NormalizeRewardOfVector
from pgexp.envs.dynamics.registry import DYNAMICS
from pgexp.envs.slots import ArraySlots, GymnasiumSlots

import tests.probes  # noqa: F401 - registers the probes
from pgexp.envs.spec import EnvSpec, inspect
from pgexp.envs.workers import WorkerSlots
from pgexp.functional.spaces import ActionSpace
from pgexp.schema.errors import ConfigError
from tests.probes import Clock


def told(id: str, wraps: Any = (), vectorization: Any = "auto", **kwargs: Any) -> str:  # noqa: A002 - Gymnasium's word
    with pytest.raises(ConfigError) as caught:
        inspect(id, None, kwargs, wraps, vectorization)
    return str(caught.value)


def test_cartpole_is_what_gymnasium_says() -> None:
    spec = inspect("CartPole-v1")
    assert spec == EnvSpec(
        id="CartPole-v1",
        spaces=spec.spaces,
        observation_shape=(4,),
        observation_size=4,
        observation_dtype=None,
        action_space=ActionSpace("discrete", 1, (2,)),
        max_episode_steps=500,
        reward_threshold=475.0,
        frames_per_second=50,
    )


def test_a_spec_pickles_whole() -> None:
    wraps = [partial(wrappers.RescaleAction, min_action=-1, max_action=1)]
    spec = inspect("Pendulum-v1", 30, {"g": 9.81}, wraps, "async")
    copy = pickle.loads(pickle.dumps(spec))
    assert (copy.spaces, copy.action_space, copy.kwargs) == (spec.spaces, spec.action_space, {"g": 9.81})
    assert str(copy.make()) == str(spec.make())


def test_a_limit_that_is_given_replaces_the_registered_one() -> None:
    assert inspect("CartPole-v1", 30).max_episode_steps == 30
    assert inspect("pgexp-probe/Clock-v0", 30).max_episode_steps == 30


def test_an_environment_may_have_neither_limit_nor_threshold() -> None:
    spec = inspect("pgexp-probe/Clock-v0")
    assert spec.max_episode_steps is None
    assert spec.reward_threshold is None


def test_an_id_may_name_the_module_that_registers_it() -> None:
    assert inspect("tests.probes:pgexp-probe/Arms-v0", None, {"arms": 5}).action_space.counts == (5,)


@pytest.mark.parametrize("name", ["Hopper-v4", "CartPole-v0"])
def test_an_older_version_is_chosen_on_purpose(name: str) -> None:
    inspect(name).make().close()  # a warning would be an error here


class TestSlots:
    def test_array_dynamics_stand_in_for_the_environments_they_equal(self) -> None:
        for name in DYNAMICS:
            assert isinstance(inspect(name).slots(2), ArraySlots)
            assert isinstance(inspect(name, 7).slots(2), ArraySlots)
            assert isinstance(inspect(name, vectorization="native").slots(2), ArraySlots)

    def test_and_for_no_others(self) -> None:
        flattened = [wrappers.FlattenObservation]
        assert isinstance(inspect("CartPole-v1", None, {"sutton_barto_reward": True}).slots(2), GymnasiumSlots)
        assert isinstance(inspect("CartPole-v1", wrappers=flattened).slots(2), GymnasiumSlots)
        assert isinstance(inspect("pgexp-probe/Clock-v0").slots(2), GymnasiumSlots)

    def test_the_kind_can_be_chosen(self) -> None:
        assert isinstance(inspect("CartPole-v1", vectorization="sync").slots(2), GymnasiumSlots)
        slots = inspect("CartPole-v1", vectorization="async").slots(2)
        assert isinstance(slots, WorkerSlots)
        slots.close()

    def test_native_where_there_are_no_array_dynamics_is_told(self) -> None:
        assert told("FrozenLake-v1", vectorization="native") == (
            "env.vectorization: native, but FrozenLake-v1 has no array dynamics, which Acrobot-v1, CartPole-v0, "
            "CartPole-v1, MountainCar-v0, MountainCarContinuous-v0, Pendulum-v1, pgexp/ShortCorridor-v0 have; "
            "set it to auto"
        )
        text = (
            "env.vectorization: native, but array dynamics of Pendulum-v1 know neither env.kwargs nor env.wrappers; "
            "set it to auto"
        )
        assert told("Pendulum-v1", vectorization="native", g=9.81) == text
        assert told("Pendulum-v1", [wrappers.FlattenObservation], "native") == text

    def test_workers_have_to_be_told_which_module_registers_an_id(self) -> None:
        for known in ("tests.probes:pgexp-probe/Clock-v0", "CartPole-v1", "pgexp/ShortCorridor-v0"):
            inspect(known, vectorization="async")
        assert told("pgexp-probe/Clock-v0", vectorization="async") == (
            "env.vectorization: async, but worker processes do not know who registers pgexp-probe/Clock-v0; "
            "write env.id=module:pgexp-probe/Clock-v0"
        )


class TestMistakes:
    def test_an_unknown_id_is_told_with_the_nearest_one(self) -> None:
        text = told("CartPoel-v1")
        assert text.startswith("env.id: given 'CartPoel-v1'; ")
        assert text.count("Did you mean 'CartPole-v1'?") == text.count("Did you mean") == 1

    def test_an_unknown_module_is_told(self) -> None:
        assert "No module named 'nobodys'" in told("nobodys:Arms-v0")

    def test_an_argument_that_the_environment_does_not_know_is_told(self) -> None:
        assert told("CartPole-v1", gravity_of_moon=1).startswith("env: CartPole-v1 can't be made: ")

    @pytest.mark.parametrize("error", ["ValueError", "KeyError", "AssertionError"])
    def test_a_constructor_that_refuses_its_arguments_is_told(self, error: str) -> None:
        text = told("pgexp-probe/Refusing-v0", error=error)
        assert text.startswith("env: pgexp-probe/Refusing-v0 can't be made: ")
        assert "size 9 is odd" in text


class TestMissingExtras:
    @pytest.mark.parametrize(
        ("name", "module", "extra"),
        [
            ("LunarLander-v3", "Box2D", "box2d"),
            ("BipedalWalker-v3", "Box2D", "box2d"),
            ("Hopper-v5", "mujoco", "mujoco"),
            ("Ant-v4", "mujoco", "mujoco"),
            ("ale_py:ALE/Pong-v5", "ale_py", "atari"),
        ],
    )
    def test_a_missing_extra_is_named(
        self, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
    ) -> None:
        self.hide(monkeypatch, module)
        assert told(name) == f"env: {name} needs {module}, an extra of the package: pip install 'pgexp[{extra}]'"

    def test_so_it_is_where_atari_is_not_even_registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in gym.registry if name.startswith("ALE/")]:
            monkeypatch.delitem(gym.registry, name)
        assert told("ALE/Pong-v5").endswith(" Write ale_py:ALE/Pong-v5.")
        self.hide(monkeypatch, "ale_py")
        assert told("ALE/Pong-v5") == (
            "env: ALE/Pong-v5 needs ale_py, an extra of the package: pip install 'pgexp[atari]'"
        )

    def test_what_a_wrapper_lacks_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hide(monkeypatch, "cv2")
        text = told("ale_py:ALE/Pong-v5", [wrappers.AtariPreprocessing], frameskip=1)
        assert text == (
            "env.wrappers: AtariPreprocessing needs cv2, an extra of the package: pip install 'pgexp[atari]'"
        )

    @staticmethod
    def hide(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
        """Hide a package as though it was not installed, and what was loaded with it."""
        loaded = [name for name in sys.modules if name.startswith(("gymnasium.envs.box2d", "gymnasium.envs.mujoco"))]
        for name in [*loaded, *(name for name in sys.modules if f"{name}.".startswith(f"{module}."))]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)


class Doubled(gym.RewardWrapper[Any, Any]):
    """A user's own wrapper: pays a multiple."""

    def __init__(self, env: gym.Env[Any, Any], by: float = 2.0) -> None:
        super().__init__(env)
        self.by = by

    def reward(self, reward: Any) -> float:
        return self.by * float(reward)


class Plus(Doubled):
    """Pays more by an amount."""

    def reward(self, reward: Any) -> float:
        return self.by + float(reward)


class Normalising(Clock):
    """A clock that is registered within a wrapper of its own."""


def normalising() -> gym.Env[Any, Any]:
    return wrappers.NormalizeObservation(Normalising())


gym.register("pgexp-probe/Normalising-v0", normalising)


class TestWrappers:
    def test_they_are_applied_in_order_the_last_outermost(self) -> None:
        for wraps, pays in (([Doubled, partial(Plus, by=5)], 7.0), ([partial(Plus, by=5), Doubled], 12.0)):
            slots = inspect("pgexp-probe/Clock-v0", wrappers=wraps).slots(1)
            slots.start(np.arange(1), [1])
            assert slots.step(np.arange(1), np.array([0])).rewards.tolist() == [pays]

    def test_spaces_are_those_that_the_outermost_shows(self) -> None:
        wraps = [partial(wrappers.RescaleAction, min_action=np.float32(-1), max_action=np.float32(1))]
        spec = inspect("Pendulum-v1", wrappers=[*wraps, partial(wrappers.FrameStackObservation, stack_size=4)])
        assert spec.action_space == ActionSpace("box", 1, low=(-1.0,), high=(1.0,))
        assert (spec.observation_shape, spec.observation_size) == ((4, 3), 12)
        assert spec.slots(1).start(np.arange(1), [1]).observations.shape == (1, 12)

    def test_a_limit_counts_the_steps_inside_of_them(self) -> None:
        wraps = [partial(wrappers.MaxAndSkipObservation, skip=4)]
        spec = inspect("pgexp-probe/Clock-v0", 10, wrappers=wraps)
        slots = spec.slots(1)
        slots.start(np.arange(1), [1])
        steps = [slots.step(np.arange(1), np.array([0])) for _ in range(3)]
        assert [bool(step.truncated[0]) for step in steps] == [False, False, True]
        assert [step.rewards[0] for step in steps] == [4.0, 4.0, 2.0]

    def test_statistics_that_go_on_from_episode_to_episode_are_refused(self) -> None:
        assert told("CartPole-v1", [wrappers.NormalizeObservation]) == (
            "env.wrappers: NormalizeObservation keeps statistics of its own slot from episode to episode; "
            "env.normalize_observations=true normalises by those of the whole run"
        )
        assert told("CartPole-v1", [partial(wrappers.NormalizeReward, gamma=0.9), Doubled]) == (
            "env.wrappers: NormalizeReward keeps statistics of its own slot from episode to episode; "
            "algorithm.return_scale=std scales returns by those of the whole run"
        )
        assert "keeps statistics" in told("pgexp-probe/Normalising-v0")  # by whomever they were put there

    def test_one_that_starts_episodes_is_refused(self) -> None:
        assert told("CartPole-v1", [wrappers.Autoreset]) == (
            "env.wrappers: Autoreset starts episodes by itself; pgexp starts each of them, with a seed of its own"
        )

    def test_one_of_vectors_is_refused(self) -> None:
        assert told("CartPole-v1", [partial(NormalizeRewardOfVector, gamma=0.9)]) == (
            "env.wrappers: NormalizeReward wraps a vector of environments; name one that wraps a single environment"
        )

    def test_what_is_no_wrapper_is_told(self) -> None:
        text = "env.wrappers: Clock is no gymnasium.Wrapper; derive it from that class"
        assert told("CartPole-v1", [partial(Clock, length=3)]) == text

    def test_one_that_refuses_the_environment_is_told(self) -> None:
        text = told("CartPole-v1", [partial(wrappers.RescaleAction, min_action=-1, max_action=1)])
        assert text.startswith("env.wrappers: RescaleAction can't wrap <TimeLimit<")
        assert "unexpected keyword argument" in told("CartPole-v1", [partial(Doubled, times=3)])
