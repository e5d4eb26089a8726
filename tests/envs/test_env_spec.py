"""What an environment is, is found out before anything is built on it; what can't be used is told."""

from typing import Any

import numpy as np
import pytest

import tests.probes  # noqa: F401 - registers the probes
from pgexp.envs.slots import ArraySlots, GymnasiumSlots
from pgexp.envs.spec import EnvSpec, inspect
from pgexp.schema.errors import ConfigError


def told(id: str, **kwargs: Any) -> str:  # noqa: A002 - Gymnasium's word
    with pytest.raises(ConfigError) as caught:
        inspect(id, None, kwargs)
    return str(caught.value)


def test_cartpole_is_what_gymnasium_says() -> None:
    assert inspect("CartPole-v1", None, {}) == EnvSpec(
        id="CartPole-v1",
        observation_size=4,
        action_count=2,
        first_action=0,
        max_episode_steps=500,
        reward_threshold=475.0,
        frames_per_second=50,
    )


def test_a_limit_that_is_given_replaces_the_registered_one() -> None:
    assert inspect("CartPole-v1", 30, {}).max_episode_steps == 30
    assert inspect("pgexp-probe/Clock-v0", 30, {}).max_episode_steps == 30


def test_an_environment_may_have_neither_limit_nor_threshold() -> None:
    spec = inspect("pgexp-probe/Clock-v0", None, {})
    assert spec.max_episode_steps is None
    assert spec.reward_threshold is None


def test_an_id_may_name_the_module_that_registers_it() -> None:
    assert inspect("tests.probes:pgexp-probe/Arms-v0", None, {"arms": 5}).action_count == 5


def test_actions_may_begin_elsewhere_than_at_0() -> None:
    spec = inspect("pgexp-probe/Diary-v0", None, {"actions": 3, "start": 5})
    assert (spec.action_count, spec.first_action) == (3, 5)


def test_boxes_of_other_shapes_are_flattened() -> None:
    spec = inspect("pgexp-probe/Picture-v0", None, {})
    assert spec.observation_size == 6
    slots, rows = spec.slots(1), np.array([0])
    assert slots.start(rows, [1]).tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]
    assert slots.step(rows, np.array([1])).observations.tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0, 6.0]]


def test_array_dynamics_stand_in_only_for_the_environment_they_equal() -> None:
    assert isinstance(inspect("CartPole-v1", None, {}).slots(2), ArraySlots)
    assert isinstance(inspect("CartPole-v1", None, {"sutton_barto_reward": True}).slots(2), GymnasiumSlots)
    assert isinstance(inspect("Acrobot-v1", None, {}).slots(2), GymnasiumSlots)


def test_an_unknown_id_is_told_with_the_nearest_one() -> None:
    text = told("CartPoel-v1")
    assert text.startswith("env.id: given 'CartPoel-v1'; ")
    assert "Did you mean 'CartPole-v1'?" in text


def test_a_suggestion_is_made_once() -> None:
    assert told("CartPoel-v1").count("Did you mean") == 1


def test_an_unknown_module_is_told() -> None:
    assert "No module named 'nobodys'" in told("nobodys:Arms-v0")


def test_an_argument_that_the_environment_does_not_know_is_told() -> None:
    assert told("CartPole-v1", gravity_of_moon=1).startswith("env: CartPole-v1 can't be made: ")


@pytest.mark.parametrize("error", ["ValueError", "KeyError", "AssertionError"])
def test_a_constructor_that_refuses_its_arguments_is_told(error: str) -> None:
    text = told("pgexp-probe/Refusing-v0", error=error)
    assert text.startswith("env: pgexp-probe/Refusing-v0 can't be made: ")
    assert "size 9 is odd" in text


def test_a_missing_dependency_is_told_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "Box2D", None)
    assert 'pip install "gymnasium[box2d]"' in told("LunarLander-v3")


def test_spaces_that_no_policy_can_act_in_are_told() -> None:
    assert told("Pendulum-v1") == (
        "env.id: Pendulum-v1 acts in Box(-2.0, 2.0, (1,), float32); pgexp acts in Discrete spaces"
    )
    assert told("FrozenLake-v1") == "env.id: FrozenLake-v1 observes Discrete(16); pgexp reads Box observations"
    assert "pgexp reads Box observations" in told("Blackjack-v1")
