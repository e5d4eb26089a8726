"""Specification of environments: sizes, limits, banks, wrappers, and errors."""

import pickle
import sys
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.wrappers.vector import NormalizeReward as NormalizeRewardOfVector

import tests.probes  # noqa: F401 - registers the probes
from pgexp.envs.bank import GymnasiumBank
from pgexp.envs.compiled import DYNAMICS, dynamics_class
from pgexp.envs.spec import EnvSpec, inspect, inspect_dynamics
from pgexp.envs.workers import WorkerBank
from pgexp.functional.spaces import ActionSpace
from pgexp.schema.errors import UserError
from tests.probes import Clock
from tests.user_parts import Dials


def message(id: str, wraps: Any = (), vectorization: Any = "auto", **kwargs: Any) -> str:  # noqa: A002 - Gymnasium's word
    with pytest.raises(UserError) as caught:
        inspect(id, None, kwargs, wraps, vectorization)
    return str(caught.value)


def test_cartpoles_spec_has_gymnasiums_values() -> None:
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
        compiled=spec.compiled,
    )
    assert type(spec.compiled) is dynamics_class("CartPole-v1")


def test_a_spec_can_be_pickled() -> None:
    wraps = [partial(wrappers.RescaleAction, min_action=-1, max_action=1)]
    spec = inspect("Pendulum-v1", 30, {"g": 9.81}, wraps, "async")
    copy = pickle.loads(pickle.dumps(spec))
    assert (copy.spaces, copy.action_space, copy.kwargs) == (spec.spaces, spec.action_space, {"g": 9.81})
    assert str(copy.make()) == str(spec.make())


def test_a_given_time_limit_replaces_the_registered_one() -> None:
    assert inspect("CartPole-v1", 30).max_episode_steps == 30
    assert inspect("pgexp-probe/Clock-v0", 30).max_episode_steps == 30


def test_an_environment_may_have_neither_limit_nor_threshold() -> None:
    spec = inspect("pgexp-probe/Clock-v0")
    assert spec.max_episode_steps is None
    assert spec.reward_threshold is None


def test_an_id_may_name_its_module() -> None:
    assert inspect("tests.probes:pgexp-probe/Arms-v0", None, {"arms": 5}).action_space.counts == (5,)


@pytest.mark.parametrize("name", ["Hopper-v4", "CartPole-v0"])
def test_an_older_version_gives_no_warning(name: str) -> None:
    inspect(name).make().close()  # a warning would be an error here


class TestVectorization:
    def test_environments_with_compiled_dynamics_use_them(self) -> None:
        for name in DYNAMICS:
            for spec in (inspect(name), inspect(name, 7), inspect(name, vectorization="compiled")):
                assert type(spec.dynamics) is dynamics_class(name)
        spec = inspect("CartPole-v1", None, {"sutton_barto_reward": True})
        assert spec.dynamics is not None
        assert spec.dynamics.parameters.tolist() == [0.0, -1.0]

    def test_others_do_not(self) -> None:
        assert inspect("CartPole-v1", wrappers=[wrappers.FlattenObservation]).dynamics is None
        assert inspect("Acrobot-v1", kwargs={"render_mode": "rgb_array"}).dynamics is None
        assert inspect("pgexp-probe/Clock-v0").dynamics is None

    def test_sync_and_async_use_gymnasiums_environments(self) -> None:
        sync, spread = (inspect("CartPole-v1", vectorization=kind) for kind in ("sync", "async"))
        assert (sync.dynamics, spread.dynamics) == (None, None)
        assert isinstance(sync.bank(2), GymnasiumBank)
        bank = spread.bank(2)
        assert isinstance(bank, WorkerBank)
        bank.close()

    def test_compiled_is_an_error_without_compiled_dynamics(self) -> None:
        assert message("FrozenLake-v1", vectorization="compiled") == (
            "env.vectorization: must be auto, sync or async for FrozenLake-v1 (got compiled). Compiled are Acrobot-v1, "
            "CartPole-v0, CartPole-v1, MountainCar-v0, MountainCarContinuous-v0, Pendulum-v1, pgexp/ShortCorridor-v0."
        )
        text = (
            "env.vectorization: compiled dynamics of Pendulum-v1 take neither these env.kwargs nor env.wrappers "
            "(got compiled). Set auto."
        )
        assert message("Pendulum-v1", vectorization="compiled", render_mode="rgb_array") == text
        assert message("Pendulum-v1", [wrappers.FlattenObservation], "compiled") == text

    def test_async_needs_the_module_that_registers_an_id(self) -> None:
        for known in ("tests.probes:pgexp-probe/Clock-v0", "CartPole-v1", "pgexp/ShortCorridor-v0"):
            inspect(known, vectorization="async")
        assert message("pgexp-probe/Clock-v0", vectorization="async") == (
            "env.vectorization: worker processes cannot import the module that registers pgexp-probe/Clock-v0 "
            "(got async). Write env.id=module:pgexp-probe/Clock-v0"
        )


class TestOwnDynamics:
    def test_the_spec_has_their_values(self) -> None:
        spec = inspect_dynamics(Dials(), "dials", None, "auto")
        assert (spec.id, spec.max_episode_steps, spec.masked, spec.user_defined) == ("dials", 80, True, True)
        assert spec.action_space == ActionSpace("multi_discrete", 2, counts=(2, 3))
        assert (spec.observation_shape, spec.observation_size) == ((1,), 1)
        assert inspect_dynamics(Dials(), "dials", 7, "auto").max_episode_steps == 7

    def test_sync_uses_the_gymnasium_environment_and_time_limit(self) -> None:
        spec = inspect_dynamics(Dials(), "dials", 3, "sync")
        assert spec.dynamics is None
        env = spec.make()
        env.reset(seed=1)
        assert [env.step(np.array([0, 1]))[3] for _ in range(3)] == [False, False, True]

    def test_a_mistake_is_a_config_error(self) -> None:
        with pytest.raises(UserError, match=r"^env.dynamics: NoReward.step: must write a finite number into reward"):
            inspect_dynamics(NoReward(), "faulty", None, "auto")


class NoReward(Dials):
    """Dynamics that write no reward."""

    @staticmethod
    def step(state, action, rng, parameters, reward):
        """Continue."""
        return 0


class TestMistakes:
    def test_an_unknown_id_is_an_error_with_the_nearest_one(self) -> None:
        text = message("CartPoel-v1")
        assert text.startswith("env.id: must be the id of an environment (got 'CartPoel-v1')")
        assert text.count("Did you mean 'CartPole-v1'?") == text.count("Did you mean") == 1

    def test_an_unknown_module_is_an_error(self) -> None:
        assert "No module named 'nobodys'" in message("nobodys:Arms-v0")

    def test_an_unknown_argument_is_an_error(self) -> None:
        assert message("CartPole-v1", gravity_of_moon=1).startswith("env: CartPole-v1 cannot be made: ")

    @pytest.mark.parametrize("error", ["ValueError", "KeyError", "AssertionError"])
    def test_an_exception_of_the_constructor_is_an_error(self, error: str) -> None:
        text = message("pgexp-probe/Refusing-v0", error=error)
        assert text.startswith("env: pgexp-probe/Refusing-v0 cannot be made: ")
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
        assert message(name) == f"env: {name} needs {module}. Install the extra: pip install 'pgexp[{extra}]'"

    def test_so_is_atari_if_it_is_not_registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in gym.registry if name.startswith("ALE/")]:
            monkeypatch.delitem(gym.registry, name)
        assert message("ALE/Pong-v5").endswith(" Write ale_py:ALE/Pong-v5.")
        self.hide(monkeypatch, "ale_py")
        assert message("ALE/Pong-v5") == (
            "env: ALE/Pong-v5 needs ale_py. Install the extra: pip install 'pgexp[atari]'"
        )

    def test_a_missing_extra_of_a_wrapper_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hide(monkeypatch, "cv2")
        text = message("ale_py:ALE/Pong-v5", [wrappers.AtariPreprocessing], frameskip=1)
        assert text == ("env.wrappers: AtariPreprocessing needs cv2. Install the extra: pip install 'pgexp[atari]'")

    @staticmethod
    def hide(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
        """Hide a package as if it was not installed, and the modules that were loaded with it."""
        loaded = [name for name in sys.modules if name.startswith(("gymnasium.envs.box2d", "gymnasium.envs.mujoco"))]
        for name in [*loaded, *(name for name in sys.modules if f"{name}.".startswith(f"{module}."))]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)


class Doubled(gym.RewardWrapper[Any, Any]):
    """A user's own wrapper that multiplies rewards."""

    def __init__(self, env: gym.Env[Any, Any], by: float = 2.0) -> None:
        super().__init__(env)
        self.by = by

    def reward(self, reward: Any) -> float:
        return self.by * float(reward)


class Plus(Doubled):
    """A wrapper that adds to rewards."""

    def reward(self, reward: Any) -> float:
        return self.by + float(reward)


class Normalising(Clock):
    """A clock that is registered with a wrapper around it."""


def normalising() -> gym.Env[Any, Any]:
    return wrappers.NormalizeObservation(Normalising())


gym.register("pgexp-probe/Normalising-v0", normalising)


class TestWrappers:
    def test_the_last_one_is_outermost(self) -> None:
        for wraps, pays in (([Doubled, partial(Plus, by=5)], 7.0), ([partial(Plus, by=5), Doubled], 12.0)):
            bank = inspect("pgexp-probe/Clock-v0", wrappers=wraps).bank(1)
            bank.start(np.arange(1), [1])
            assert bank.step(np.arange(1), np.zeros((1, 1))).rewards.tolist() == [pays]

    def test_spaces_are_those_of_the_outermost(self) -> None:
        wraps = [partial(wrappers.RescaleAction, min_action=np.float32(-1), max_action=np.float32(1))]
        spec = inspect("Pendulum-v1", wrappers=[*wraps, partial(wrappers.FrameStackObservation, stack_size=4)])
        assert spec.action_space == ActionSpace("box", 1, low=(-1.0,), high=(1.0,))
        assert (spec.observation_shape, spec.observation_size) == ((4, 3), 12)
        assert spec.bank(1).start(np.arange(1), [1]).observations.shape == (1, 12)

    def test_the_time_limit_counts_steps_inside_of_them(self) -> None:
        wraps = [partial(wrappers.MaxAndSkipObservation, skip=4)]
        spec = inspect("pgexp-probe/Clock-v0", 10, wrappers=wraps)
        bank = spec.bank(1)
        bank.start(np.arange(1), [1])
        steps = [bank.step(np.arange(1), np.zeros((1, 1))) for _ in range(3)]
        assert [bool(step.truncated[0]) for step in steps] == [False, False, True]
        assert [step.rewards[0] for step in steps] == [4.0, 4.0, 2.0]

    def test_statistics_across_episodes_are_refused(self) -> None:
        text = message("CartPole-v1", [wrappers.NormalizeObservation])
        assert text.startswith("env.wrappers: NormalizeObservation keeps statistics")
        assert "env.normalize_observations=true" in text
        text = message("CartPole-v1", [partial(wrappers.NormalizeReward, gamma=0.9), Doubled])
        assert text.startswith("env.wrappers: NormalizeReward keeps statistics")
        assert "algorithm.return_scale=std" in text
        assert "keeps statistics" in message("pgexp-probe/Normalising-v0")  # as part of the registered environment

    def test_one_that_starts_episodes_is_refused(self) -> None:
        assert message("CartPole-v1", [wrappers.Autoreset]).startswith("env.wrappers: Autoreset is not supported")

    def test_one_of_vectors_is_refused(self) -> None:
        text = message("CartPole-v1", [partial(NormalizeRewardOfVector, gamma=0.9)])
        assert text == "env.wrappers: must wrap single environments, not vectors (got NormalizeReward)"

    def test_another_class_is_an_error(self) -> None:
        text = "env.wrappers: must be subclasses of gymnasium.Wrapper (got Clock)"
        assert message("CartPole-v1", [partial(Clock, length=3)]) == text

    def test_an_exception_of_a_wrapper_is_an_error(self) -> None:
        text = message("CartPole-v1", [partial(wrappers.RescaleAction, min_action=-1, max_action=1)])
        assert text.startswith("env.wrappers: RescaleAction cannot wrap <TimeLimit<")
        assert "unexpected keyword argument" in message("CartPole-v1", [partial(Doubled, times=3)])
