"""A policy's first parameters are of its run's seed, and it acts by its network's outputs."""

import pytest
import torch

from pgexp.networks.linear import Linear
from pgexp.networks.parameters import stack
from tests.batches import policy_of

NO_MEMORY = torch.zeros(2, 2, 0)
POLICY = policy_of(Linear(2, 3, bias=True, initialization="pytorch", gain=1.0), 3)


def test_first_parameters_are_the_seeds_whatever_the_global_generator_does() -> None:
    first = POLICY.initial(3)
    torch.manual_seed(99)
    again, other = POLICY.initial(3), POLICY.initial(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_first_parameters_are_drawn_in_double_precision_and_rounded(dtype: torch.dtype) -> None:
    rounded = policy_of(POLICY.network, 3, dtype).initial(3)
    assert all(torch.equal(tensor, POLICY.initial(3)[name].to(dtype)) for name, tensor in rounded.items())


def test_each_run_samples_with_its_own_noise_or_takes_its_mode() -> None:
    stacked = stack([POLICY.initial(seed) for seed in (0, 1)])
    stacked["0.weight"][:] = 0
    stacked["0.bias"][:] = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]).log()
    observations, noise = torch.zeros(2, 2, 2, dtype=torch.float64), torch.tensor([[0.4, 0.6], [0.4, 0.6]])
    assert POLICY.act(stacked, observations, NO_MEMORY, noise.unsqueeze(-1)).actions.tolist() == [[0, 1], [1, 2]]
    assert POLICY.act(stacked, observations, NO_MEMORY, None).actions.tolist() == [[0, 0], [2, 2]]


def test_acting_records_no_gradient() -> None:
    stacked = {name: tensor.requires_grad_() for name, tensor in stack([POLICY.initial(0)]).items()}
    observations, noise = torch.zeros(1, 1, 2, dtype=torch.float64), torch.zeros(1, 1, 1)
    assert not POLICY.act(stacked, observations, torch.zeros(1, 1, 0), noise).samples.requires_grad
