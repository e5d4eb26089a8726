"""Conversion of observations and actions between Gymnasium's spaces and rows of numbers."""

import re
from typing import Any

import numpy as np
import pytest
from gymnasium import Space
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    Graph,
    MultiBinary,
    MultiDiscrete,
    OneOf,
    Sequence,
    Text,
    Tuple,
    flatten,
)

import tests.probes  # noqa: F401 - registers the probes
from pgexp.envs.spaces import (
    action_converter,
    action_space,
    observation_dtype,
    observation_shape,
    observation_writer,
    unsupported_parts,
)
from pgexp.envs.spec import EnvSpec, inspect
from pgexp.functional.spaces import ActionSpace
from pgexp.schema.errors import UserError
from tests.probes import echo_observation, echo_reward

TWO = Discrete(2)
MANY_COUNTS = MultiDiscrete(np.array([[2, 3, 4], [5, 6, 2]]), start=np.array([[1, 0, -2], [3, 0, 7]]))
NESTED = Dict(
    b=Discrete(3, start=-1),
    a=Tuple([Box(-1, 1, (2, 2)), MultiBinary((2, 3)), Dict(z=MANY_COUNTS, y=Box(0, 255, (3,), np.uint8))]),
)
OBSERVED: list[tuple[Space[Any], tuple[int, ...]]] = [
    (Box(-1, 1, (4,)), (4,)),
    (Box(-np.inf, np.inf, (2, 3, 2), np.float64), (2, 3, 2)),
    (Box(-1, 1, ()), ()),
    (Box(-5, 5, (2, 2), np.int64), (2, 2)),
    (Box(0, 255, (3, 4), np.uint8), (3, 4)),
    (Discrete(5), (5,)),
    (Discrete(5, start=-3), (5,)),
    (MultiDiscrete([2, 3, 4]), (9,)),
    (MANY_COUNTS, (22,)),
    (MultiBinary(4), (4,)),
    (MultiBinary((2, 3)), (6,)),
    (Tuple([Discrete(32), Discrete(11), Discrete(2)]), (45,)),
    (NESTED, (3 + 4 + 6 + 22 + 3,)),
]


def echo(observation: Space[Any], action: Space[Any] = TWO) -> EnvSpec:
    return inspect("pgexp-probe/Echo-v0", None, {"observation": observation, "action": action})


@pytest.mark.parametrize(("space", "shape"), OBSERVED)
def test_observations_are_flattened_as_by_gymnasium(space: Space[Any], shape: tuple[int, ...]) -> None:
    spec, rows, seeds = echo(space), np.arange(3), [5, 17, 40]
    assert spec.observation_shape == shape
    assert spec.observation_size == np.prod(shape, dtype=int)
    bank = spec.bank(3)
    seen = [
        bank.start(rows, seeds).observations,
        *(bank.step(rows, np.array([[0.0], [1.0], [0.0]])).observations for _ in range(4)),
    ]
    for time, observations in enumerate(seen):
        expected = [flatten(space, echo_observation(space, seed, time)).tolist() for seed in seeds]
        assert observations.tolist() == expected
    bank.close()


def test_a_row_is_overwritten_completely() -> None:
    for space in (Discrete(4), MANY_COUNTS, NESTED):
        observation = echo_observation(space, 3, 0)
        row = np.full(len(flatten(space, observation)), 7.0)
        observation_writer(space)(observation, row)
        assert row.tolist() == flatten(space, observation).tolist()


@pytest.mark.parametrize(
    ("space", "observation", "text"),
    [
        (Box(-1, 1, (4,)), np.zeros(1), "must have shape (4,), as its space (got (1,))"),
        (Box(-1, 1, (2, 3)), np.zeros((3, 2)), "must have shape (2, 3), as its space (got (3, 2))"),
        (Box(-1, 1, (4,)), None, "must have shape (4,), as its space (got ())"),
        (Discrete(3), 3, "must be within 0 to 2, as its space (got 3)"),
        (Discrete(3, start=5), 4, "must be within 5 to 7, as its space (got 4)"),
        (Discrete(3), [0, 1], "must be within 0 to 2, as its space (got [0, 1])"),
        (MultiDiscrete([2, 3]), [2, 0], "must be within 0 to 1, 0 to 2, as its space (got [2, 0])"),
        (Tuple([TWO, Box(-1, 1, (2,))]), (1, np.zeros(3)), "must have shape (2,), as its space (got (3,))"),
    ],
)
def test_an_observation_outside_its_space_is_an_error(space: Space[Any], observation: Any, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        observation_writer(space)(observation, np.zeros(observation_shape(space)).ravel())


@pytest.mark.parametrize(
    ("space", "dtype"),
    [
        (Box(0, 255, (4, 84, 84), np.uint8), "uint8"),
        (Box(0, 255, (2, 3), np.uint8), "uint8"),
        (Box(0, 255, (128,), np.uint8), None),
        (Box(0, 255, (2, 3), np.int64), None),
        (Box(0, 1, (2, 3), np.float32), None),
        (Tuple([Box(0, 255, (2, 3), np.uint8)]), None),
    ],
)
def test_only_pictures_stay_bytes(space: Space[Any], dtype: str | None) -> None:
    assert observation_dtype(space) == dtype
    bank = echo(space).bank(2)
    expected = np.dtype(dtype or np.float64)
    assert bank.start(np.arange(2), [1, 2]).observations.dtype == expected
    assert bank.step(np.arange(2), np.array([[0.0], [1.0]])).observations.dtype == expected


def test_a_tuples_shape_is_its_size() -> None:
    assert observation_shape(Tuple([Box(0, 255, (2, 3), np.uint8)])) == (6,)


FLOAT_BOX = Box(np.array([[-1, -np.inf], [0, 2]], np.float32), np.array([[1, 3], [np.inf, 4]], np.float32))
ACTED: list[tuple[Space[Any], ActionSpace, np.ndarray]] = [
    (Discrete(3), ActionSpace("discrete", 1, (3,)), np.array([[0], [2]])),
    (Discrete(3, start=5), ActionSpace("discrete", 1, (3,)), np.array([[1], [2]])),
    (MultiDiscrete([2, 3]), ActionSpace("multi_discrete", 2, (2, 3)), np.array([[1, 2], [0, 1]])),
    (
        MANY_COUNTS,
        ActionSpace("multi_discrete", 6, (2, 3, 4, 5, 6, 2)),
        np.array([[0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 1]]),
    ),
    (MultiBinary(3), ActionSpace("multi_binary", 3), np.array([[1, 0, 1], [0, 0, 1]])),
    (MultiBinary((2, 2)), ActionSpace("multi_binary", 4), np.array([[1, 0, 1, 0], [0, 0, 1, 1]])),
    (
        FLOAT_BOX,
        ActionSpace("box", 4, low=(-1, -np.inf, 0, 2), high=(1, 3, np.inf, 4)),
        np.array([[0.5, -9, 7, 3], [-1, 3, 0, 4]]),
    ),
    (Box(-2, 2, (), np.float64), ActionSpace("box", 1, low=(-2,), high=(2,)), np.array([[0.5], [-2.0]])),
]


@pytest.mark.parametrize(("space", "expected", "actions"), ACTED)
def test_actions_are_converted_to_the_environments_space(
    space: Space[Any], expected: ActionSpace, actions: np.ndarray
) -> None:
    spec, rows = echo(TWO, space), np.arange(2)
    assert spec.action_space == expected
    bank = spec.bank(2)
    bank.start(rows, [1, 2])
    start = np.ravel(getattr(space, "start", 0))
    rewards = [echo_reward(action + start) for action in actions]  # the probe refuses actions outside its space
    assert bank.step(rows, actions.astype(np.float64)).rewards.tolist() == rewards


def test_a_discrete_action_is_an_int() -> None:
    assert [type(action) for action in action_converter(Discrete(3, start=5))(np.array([[0.0], [1.0]]))] == [int, int]


def test_an_environment_may_change_its_action() -> None:
    actions = np.ones((2, 3))
    action_converter(Box(-1, 1, (3,)))(actions)[0][:] = 5.0
    assert actions.tolist() == np.ones((2, 3)).tolist()


UNREADABLE: list[Space[Any]] = [
    Text(5),
    Sequence(Discrete(2)),
    OneOf([Discrete(2), Box(-1, 1, (1,))]),
    Graph(Box(-1, 1, (2,)), None),
]


@pytest.mark.parametrize("space", UNREADABLE)
def test_an_observation_of_variable_size_is_an_error(space: Space[Any]) -> None:
    assert list(unsupported_parts(Dict(a=Discrete(2), b=Tuple([space])))) == [space]
    with pytest.raises(UserError) as caught:
        echo(Tuple([Discrete(2), space]))
    assert str(caught.value).startswith("env.id: observations of pgexp-probe/Echo-v0 must be ")
    assert f"(got {space})" in str(caught.value)


@pytest.mark.parametrize("space", [*UNREADABLE, Tuple([Discrete(2)]), Dict(a=Discrete(2)), Box(0, 9, (2,), np.int64)])
def test_another_action_space_is_an_error(space: Space[Any]) -> None:
    assert action_space(space) is None
    with pytest.raises(UserError) as caught:
        echo(TWO, space)
    assert str(caught.value).startswith("env.id: actions of pgexp-probe/Echo-v0 must be ")
    assert f"(got {space})" in str(caught.value)
