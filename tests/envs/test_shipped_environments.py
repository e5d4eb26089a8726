"""Environments in conf/env: each is made and stepped, and its episodes depend on their seed alone."""

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import yaml

from pgexp.envs.bank import Bank, Transition
from pgexp.envs.gymnasium_envs import Wrap
from pgexp.envs.spec import EnvSpec, inspect
from pgexp.functional.arrays import Floats
from pgexp.functional.spaces import ActionSpace
from pgexp.schema.streams import generator
from tests.conftest import CONF

SLOW = ("breakout", "pong")
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in sorted(path.stem for path in (CONF / "env").glob("*.yaml"))
]
EVERY = yaml.safe_load((CONF / "config.yaml").read_text())["env"]
ROW = np.arange(1)
STEPS = 200


def wrap(keys: dict[str, Any]) -> Wrap:
    module, _, name = keys.pop("_target_").rpartition(".")
    return partial(getattr(import_module(module), name), **keys)


def shipped(name: str) -> EnvSpec:
    keys = EVERY | yaml.safe_load((CONF / "env" / f"{name}.yaml").read_text())
    wraps = [wrap(each) for each in keys["wrappers"]]
    return inspect(keys["id"], keys["max_episode_steps"], keys["kwargs"], wraps, "sync")


def sampled(space: ActionSpace, draws: np.random.Generator) -> Floats:
    """Return an action of one row [1, A], uniform within its bounds."""
    if space.kind == "box":
        assert np.isfinite([*space.low, *space.high]).all()
        return draws.uniform(space.low, space.high, (1, space.size))
    assert space.kind == "discrete"
    return draws.integers(space.counts[0], size=(1, 1)).astype(np.float64)


def episode(bank: Bank, space: ActionSpace, seed: int) -> list[Any]:
    """Return observations, rewards and ends of at most STEPS steps of an episode."""
    draws = generator(seed, "actions")
    found: list[Any] = [bank.start(ROW, [seed]).observations.tobytes()]
    ended = False
    while not ended and len(found) <= STEPS:
        step = bank.step(ROW, sampled(space, draws))
        found.append((step.observations.tobytes(), *_ends(step)))
        ended = any(found[-1][2:])
    return found


def _ends(step: Transition) -> tuple[float, bool, bool]:
    return float(step.rewards[0]), bool(step.terminated[0]), bool(step.truncated[0])


@pytest.mark.parametrize("name", NAMES)
def test_an_environment_is_made_and_stepped(name: str) -> None:
    spec = shipped(name)
    bank, draws = spec.bank(1), generator(1, name)
    observed, seed = [bank.start(ROW, [0]).observations], 0
    for _ in range(STEPS):
        step = bank.step(ROW, sampled(spec.action_space, draws))
        assert np.isfinite(step.rewards).all()
        observed.append(step.observations)
        if step.terminated[0] or step.truncated[0]:
            seed += 1
            bank.start(ROW, [seed])
    assert all(rows.shape == (1, spec.observation_size) and np.isfinite(rows).all() for rows in observed)
    different = len({rows.tobytes() for rows in observed})
    assert different == 1 if name == "short_corridor" else different > 10
    bank.close()


@pytest.mark.parametrize("name", NAMES)
def test_an_episode_depends_on_its_seed_only(name: str) -> None:
    spec = shipped(name)
    used = spec.bank(1)
    first = episode(used, spec.action_space, 1)
    other = episode(used, spec.action_space, 2)
    assert episode(used, spec.action_space, 1) == first
    fresh = spec.bank(1)
    assert episode(fresh, spec.action_space, 2) == other != first
    used.close()
    fresh.close()


def test_ataris_pictures_stay_bytes() -> None:
    spec = shipped("pong")
    assert (spec.observation_shape, spec.observation_dtype) == ((4, 84, 84), "uint8")
    assert spec.action_space == ActionSpace("discrete", 1, (6,))


@pytest.mark.parametrize(
    ("name", "shape", "acting"),
    [
        ("frozenlake", (16,), ActionSpace("discrete", 1, (4,))),
        ("blackjack", (32 + 11 + 2,), ActionSpace("discrete", 1, (2,))),
        ("bipedalwalker", (24,), ActionSpace("box", 4, low=(-1.0,) * 4, high=(1.0,) * 4)),
        ("hopper", (11,), ActionSpace("box", 3, low=(-1.0,) * 3, high=(1.0,) * 3)),
        ("pendulum", (3,), ActionSpace("box", 1, low=(-2.0,), high=(2.0,))),
    ],
)
def test_spaces_are_plain_numbers(name: str, shape: tuple[int, ...], acting: ActionSpace) -> None:
    spec = shipped(name)
    assert (spec.observation_shape, spec.action_space) == (shape, acting)


def test_cliffwalking_has_a_time_limit() -> None:
    spec = shipped("cliffwalking")
    bank = spec.bank(1)
    bank.start(ROW, [1])
    back_and_forth = [bank.step(ROW, np.array([[time % 2 * 2.0]])) for time in range(200)]  # up, down, up, ...
    assert [bool(step.truncated[0]) for step in back_and_forth] == [False] * 199 + [True]
