"""A served policy takes observations and gives actions as the environment has them, the same as training's policy."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pgexp.envs.spaces import hander
from pgexp.execution.assembly import Pack
from pgexp.execution.policies import load_policy
from pgexp.execution.serving import ServedPolicy, _load_pyfunc
from pgexp.functional.arrays import Observations
from pgexp.networks.parameters import Parameters
from pgexp.schema.streams import generator
from tests.conftest import Compose
from tests.execution.kept import KINDS, keep

SEEDS = [3, 1, 4, 1, 5]
FORGETFUL = [kind for kind in KINDS if "memor" not in kind]


def seen(pack: Pack) -> tuple[np.ndarray, Observations]:
    """Return first observations as the environment gives them, and as training keeps them."""
    kept = pack.env.slots(len(SEEDS)).start(np.arange(len(SEEDS)), SEEDS).observations
    env = pack.env.make()
    raw = np.stack([env.reset(seed=seed)[0] for seed in SEEDS])
    return (kept if raw.ndim == 1 else raw), kept  # numbered observations are given laid flat


def trained_actions(
    pack: Pack, stacked: Parameters, kept: Observations, noise: np.ndarray | None
) -> tuple[list[object], torch.Tensor]:
    """Return what training's policy does, as the environment takes it, and what it remembers."""
    rows = torch.from_numpy(np.asarray(kept))
    rows = rows if pack.env.observation_dtype else rows.to(pack.policy.dtype)
    memory = torch.zeros(1, len(rows), pack.policy.memory_size, dtype=pack.policy.dtype)
    draws = None if noise is None else torch.from_numpy(noise).unsqueeze(0)
    choice = pack.policy.act(stacked, rows.unsqueeze(0), memory, draws)
    return [*hander(pack.env.spaces.action)(choice.actions[0].numpy())], choice.memory


@pytest.mark.parametrize("kind", FORGETFUL)
@pytest.mark.parametrize("greedy", [True, False])
def test_it_acts_as_training_s_policy(configured: Compose, tmp_path: Path, kind: str, greedy: bool) -> None:
    pack, stacked = keep(configured(*KINDS[kind]), tmp_path)
    observations, kept = seen(pack)
    noise = None if greedy else pack.policy.distribution.noise(generator(8, "serve"), len(SEEDS))
    expected, _ = trained_actions(pack, stacked, kept, noise)
    params = {"greedy": greedy, "seed": 8}
    actions = _load_pyfunc(str(tmp_path)).predict(observations, params)
    assert actions.dtype == pack.env.spaces.action.dtype
    np.testing.assert_array_equal(actions, np.stack(expected), strict=True)
    space = pack.env.make().action_space
    assert all(space.contains(action) for action in actions)


def test_it_is_greedy_unless_told_otherwise(configured: Compose, tmp_path: Path) -> None:
    pack, stacked = keep(configured(*KINDS["box, clipped"]), tmp_path)
    observations, kept = seen(pack)
    expected, _ = trained_actions(pack, stacked, kept, None)
    served = ServedPolicy(load_policy(tmp_path))
    for params in (None, {}, {"seed": 3}):
        np.testing.assert_array_equal(served.predict(observations, params), np.stack(expected))


def test_draws_are_fresh_unless_a_seed_is_given(configured: Compose, tmp_path: Path) -> None:
    # Of 500 real draws no two are alike.
    keep(configured(*KINDS["box, clipped"]), tmp_path)
    served = ServedPolicy(load_policy(tmp_path))
    observations = np.zeros((100, 3), np.float32)
    drawn = [served.predict(observations, {"greedy": False, "seed": seed}) for seed in (None, None, 1, 2, 1)]
    assert np.array_equal(drawn[2], drawn[4])
    different = np.stack(drawn[:4]).reshape(4, -1)
    assert all(not np.array_equal(different[i], different[j]) for i in range(4) for j in range(i))


@pytest.mark.parametrize("kind", ["with a memory", "with two memories"])
def test_a_memory_is_given_and_given_back(configured: Compose, tmp_path: Path, kind: str) -> None:
    pack, stacked = keep(configured(*KINDS[kind]), tmp_path)
    observations, kept = seen(pack)
    served = ServedPolicy(load_policy(tmp_path))
    memory = np.zeros((len(SEEDS), pack.policy.memory_size), str(pack.policy.dtype).removeprefix("torch."))
    expected, remembered = trained_actions(pack, stacked, kept, None)
    first = served.predict({"observations": observations, "memory": memory})
    np.testing.assert_array_equal(first["actions"], np.stack(expected))
    np.testing.assert_array_equal(first["memory"], remembered[0].numpy(), strict=True)
    rows = torch.from_numpy(observations).to(pack.policy.dtype).unsqueeze(0)
    again = served.predict({"observations": observations, "memory": first["memory"]})
    np.testing.assert_array_equal(again["memory"], pack.policy.act(stacked, rows, remembered, None).memory[0].numpy())
    assert not np.array_equal(again["memory"], first["memory"])
