"""Initial parameters of a policy, and actions in torch."""

import pytest
import torch

from pgexp.networks.linear import Linear
from tests.batches import policy_of

NO_MEMORY = torch.zeros(2, 0)
POLICY = policy_of(Linear(2, 3, bias=True, initialization="pytorch", gain=1.0), 3)


def test_initial_parameters_depend_on_the_seed_and_not_on_the_global_generator() -> None:
    first = POLICY.initial(3)
    torch.manual_seed(99)
    again, other = POLICY.initial(3), POLICY.initial(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_initial_parameters_are_drawn_in_double_precision_and_rounded(dtype: torch.dtype) -> None:
    rounded = policy_of(POLICY.network, 3, dtype).initial(3)
    assert all(torch.equal(tensor, POLICY.initial(3)[name].to(dtype)) for name, tensor in rounded.items())


def test_it_samples_with_the_uniform_numbers_or_takes_the_mode() -> None:
    parameters = POLICY.initial(0)
    parameters["0.weight"][:] = 0
    parameters["0.bias"][:] = torch.tensor([0.25, 0.5, 0.25]).log()
    observations, uniforms = torch.zeros(2, 2, dtype=torch.float64), torch.tensor([[0.2], [0.8]], dtype=torch.float64)
    assert POLICY.act(parameters, observations, NO_MEMORY, uniforms).actions.tolist() == [0, 2]
    assert POLICY.act(parameters, observations, NO_MEMORY, None).actions.tolist() == [1, 1]


def test_a_forbidden_action_is_neither_sampled_nor_the_mode() -> None:
    parameters = POLICY.initial(0)
    parameters["0.weight"][:] = 0
    parameters["0.bias"][:] = torch.tensor([0.25, 0.5, 0.25]).log()
    observations = torch.zeros(2, 2, dtype=torch.float64)
    masks = torch.tensor([[True, False, True], [False, False, True]])
    for uniform, expected in ((0.49, [0, 2]), (0.51, [2, 2]), (0.0, [0, 2])):
        uniforms = torch.full((2, 1), uniform, dtype=torch.float64)
        assert POLICY.act(parameters, observations, NO_MEMORY, uniforms, masks).actions.tolist() == expected
    parameters["0.bias"][2] += 1e-3
    assert POLICY.act(parameters, observations, NO_MEMORY, None, masks).actions.tolist() == [2, 2]


def test_acting_records_no_gradient() -> None:
    parameters = {name: tensor.requires_grad_() for name, tensor in POLICY.initial(0).items()}
    observations, uniforms = torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    assert not POLICY.act(parameters, observations, torch.zeros(1, 0), uniforms).samples.requires_grad
