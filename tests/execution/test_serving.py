"""Served policies: observations and actions as the environment has them, equal to training's policy."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from pgexp.envs.spaces import action_converter
from pgexp.execution.assembly import Run
from pgexp.execution.serving import ServedPolicy, _load_pyfunc
from pgexp.execution.trained_policy import load_policy
from pgexp.functional.arrays import Observations
from pgexp.networks.network import Parameters
from pgexp.schema.streams import generator
from tests.conftest import Compose
from tests.execution.policy_files import KINDS, keep
from tests.tiers import tiered

SEEDS = [3, 1, 4, 1, 5]
FORGETFUL = [kind for kind in KINDS if "memor" not in kind]


def seen(run: Run) -> tuple[np.ndarray, Observations]:
    """Return first observations as the environment gives them, and as training records them."""
    recorded = run.env.bank(len(SEEDS)).start(np.arange(len(SEEDS)), SEEDS).observations
    env = run.env.make()
    raw = np.stack([env.reset(seed=seed)[0] for seed in SEEDS])
    return (recorded if raw.ndim == 1 else raw), recorded  # a scalar observation is flattened


def trained_actions(
    run: Run, parameters: Parameters, recorded: Observations, uniforms: np.ndarray | None
) -> tuple[list[object], torch.Tensor]:
    """Return the actions of training's policy, as the environment takes them, and its memory."""
    rows = torch.from_numpy(np.asarray(recorded))
    rows = rows if run.env.images else rows.to(run.policy.dtype)
    memory = torch.zeros(len(rows), run.policy.memory_size, dtype=run.policy.dtype)
    draws = None if uniforms is None else torch.from_numpy(uniforms)
    choice = run.policy.act(parameters, rows, memory, draws)
    return [*action_converter(run.env.spaces.action)(choice.actions.numpy().reshape(len(rows), -1))], choice.memory


@pytest.mark.parametrize(
    ("kind", "greedy"), tiered(product(FORGETFUL, [True, False]), lambda case: not case[1] or case[0] == "discrete")
)
def test_it_acts_as_the_policy_in_training(configured: Compose, tmp_path: Path, kind: str, greedy: bool) -> None:
    run, parameters = keep(configured(*KINDS[kind]), tmp_path)
    observations, recorded = seen(run)
    uniforms = None if greedy else generator(8, "serve").random((len(SEEDS), run.policy.distribution.draws))
    expected, _ = trained_actions(run, parameters, recorded, uniforms)
    params = {"greedy": greedy, "seed": 8}
    actions = _load_pyfunc(str(tmp_path)).predict(observations, params)
    assert actions.dtype == run.env.spaces.action.dtype
    np.testing.assert_array_equal(actions, np.stack(expected), strict=True)
    space = run.env.make().action_space
    assert all(space.contains(action) for action in actions)


def test_it_is_greedy_by_default(configured: Compose, tmp_path: Path) -> None:
    run, parameters = keep(configured(*KINDS["box, clipped"]), tmp_path)
    observations, recorded = seen(run)
    expected, _ = trained_actions(run, parameters, recorded, None)
    served = ServedPolicy(load_policy(tmp_path))
    for params in (None, {}, {"seed": 3}):
        np.testing.assert_array_equal(served.predict(observations, params), np.stack(expected))


def test_draws_differ_between_calls_without_a_seed(configured: Compose, tmp_path: Path) -> None:
    # Of 500 real draws no two are alike.
    keep(configured(*KINDS["box, clipped"]), tmp_path)
    served = ServedPolicy(load_policy(tmp_path))
    observations = np.zeros((100, 3), np.float32)
    drawn = [served.predict(observations, {"greedy": False, "seed": seed}) for seed in (None, None, 1, 2, 1)]
    assert np.array_equal(drawn[2], drawn[4])
    different = np.stack(drawn[:4]).reshape(4, -1)
    assert all(not np.array_equal(different[i], different[j]) for i in range(4) for j in range(i))


@pytest.mark.parametrize("kind", ["with a memory", "with two memories"])
def test_a_memory_is_passed_in_and_returned(configured: Compose, tmp_path: Path, kind: str) -> None:
    run, parameters = keep(configured(*KINDS[kind]), tmp_path)
    observations, recorded = seen(run)
    served = ServedPolicy(load_policy(tmp_path))
    memory = np.zeros((len(SEEDS), run.policy.memory_size), str(run.policy.dtype).removeprefix("torch."))
    expected, next_memory = trained_actions(run, parameters, recorded, None)
    first = served.predict({"observations": observations, "memory": memory})
    np.testing.assert_array_equal(first["actions"], np.stack(expected))
    np.testing.assert_array_equal(first["memory"], next_memory.numpy(), strict=True)
    rows = torch.from_numpy(observations).to(run.policy.dtype)
    again = served.predict({"observations": observations, "memory": first["memory"]})
    np.testing.assert_array_equal(again["memory"], run.policy.act(parameters, rows, next_memory, None).memory.numpy())
    assert not np.array_equal(again["memory"], first["memory"])
