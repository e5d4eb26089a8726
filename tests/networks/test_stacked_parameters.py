"""One run's parameters, and the pack's: which share memory and which do not."""

import pytest
import torch

from pgexp.networks.parameters import Parameters, cast, select, stack, views


@pytest.fixture
def stacked() -> Parameters:
    return stack([{"w": torch.full((2, 3), float(run)), "b": torch.tensor([float(run)])} for run in range(4)])


def values(parameters: Parameters) -> list[float]:
    return parameters["b"].ravel().tolist()


def test_a_stack_has_a_row_a_run(stacked: Parameters) -> None:
    assert stacked["w"].shape == (4, 2, 3)
    assert stacked["b"].tolist() == [[0.0], [1.0], [2.0], [3.0]]


def test_a_selection_has_the_chosen_runs_in_their_order(stacked: Parameters) -> None:
    assert values(select(stacked, [2, 0])) == [2.0, 0.0]
    assert values(select(stacked, [3])) == [3.0]
    assert select(stacked, [3])["w"].shape == (1, 2, 3)


def test_a_selection_of_all_is_the_stack_itself(stacked: Parameters) -> None:
    assert select(stacked, range(4)) is stacked
    assert select(stacked, [1, 0, 2, 3]) is not stacked


def test_views_share_the_stacks_memory(stacked: Parameters) -> None:
    own = views(stacked, 2)
    assert own["w"].shape == (1, 2, 3)
    own["b"] += 10.0
    assert values(stacked) == [0.0, 1.0, 12.0, 3.0]
    stacked["b"][2] = 7.0
    assert values(own) == [7.0]


def test_an_optimizers_step_on_a_runs_views_changes_that_run_alone(stacked: Parameters) -> None:
    own = {name: tensor.requires_grad_() for name, tensor in views(stacked, 1).items()}
    optimizer = torch.optim.SGD(own.values(), lr=1.0)
    (own["w"].sum() + 2 * own["b"].sum()).backward()
    optimizer.step()
    assert values(stacked) == [0.0, -1.0, 2.0, 3.0]
    assert stacked["w"][:, 0, 0].tolist() == [0.0, 0.0, 2.0, 3.0]


def test_the_stack_itself_needs_no_gradient(stacked: Parameters) -> None:
    views(stacked, 0)["w"].requires_grad_()
    assert not any(tensor.requires_grad for tensor in stacked.values())


def test_a_cast_changes_the_precision(stacked: Parameters) -> None:
    assert {tensor.dtype for tensor in cast(stacked, torch.float64).values()} == {torch.float64}
    assert values(cast(stacked, torch.float64)) == [0.0, 1.0, 2.0, 3.0]
