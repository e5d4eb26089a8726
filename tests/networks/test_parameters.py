"""Parameters of a policy as one vector with views."""

import numpy as np
import pytest
import torch

from pgexp.networks.network import Parameters, ParameterVector, cast, streams
from pgexp.schema.streams import generator


@pytest.fixture
def parameters() -> Parameters:
    return {
        "w": torch.arange(6.0).reshape(2, 3),
        "b": torch.tensor([10.0]),
        "scalar": torch.tensor(7.0),
        "long": torch.arange(100.0, 140.0),
    }


def test_views_have_the_values_and_shapes(parameters: Parameters) -> None:
    stored = ParameterVector.of(parameters)
    assert list(stored.views) == list(parameters)
    assert all(torch.equal(stored.views[name], parameters[name]) for name in parameters)


def test_tensors_begin_at_their_offsets_and_zeros_lie_between(parameters: Parameters) -> None:
    stored = ParameterVector.of(parameters)
    assert stored.offsets == {"w": 0, "b": 16, "scalar": 32, "long": 48}
    assert stored.vector.shape == (48 + 48,)
    left = stored.vector.clone()
    for name, tensor in parameters.items():
        part = slice(stored.offsets[name], stored.offsets[name] + tensor.numel())
        assert left[part].tolist() == tensor.flatten().tolist()
        left[part] = 0
    assert not left.any()


def test_the_vector_is_a_copy(parameters: Parameters) -> None:
    stored = ParameterVector.of(parameters)
    parameters["b"] += 1
    assert stored.views["b"].tolist() == [10.0]
    stored.views["w"][0, 0] = 99.0
    assert parameters["w"][0, 0] == 0


def test_a_change_of_a_view_changes_the_vector_and_its_array(parameters: Parameters) -> None:
    stored = ParameterVector.of(parameters)
    array = stored.vector.numpy()
    stored.views["w"].mul_(2)
    assert array[:6].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    array[16] = -1.0
    assert stored.views["b"].tolist() == [-1.0]


def test_a_step_on_a_view_changes_the_vector_there_only(parameters: Parameters) -> None:
    stored = ParameterVector.of(parameters)
    before = stored.vector.clone()
    views = {name: view.requires_grad_() for name, view in stored.views.items()}
    optimizer = torch.optim.SGD([views["b"], views["scalar"]], lr=1.0)
    (2 * views["b"].sum() + 3 * views["scalar"]).backward()
    optimizer.step()
    changed = (stored.vector != before).nonzero().flatten().tolist()
    assert changed == [16, 32]
    assert stored.vector[[16, 32]].tolist() == [8.0, 4.0]
    assert not stored.vector.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_vector_has_the_dtype_of_the_parameters(parameters: Parameters, dtype: torch.dtype) -> None:
    stored = ParameterVector.of(cast(parameters, dtype))
    assert {stored.vector.dtype, *(view.dtype for view in stored.views.values())} == {dtype}


def test_parameters_that_require_gradients_are_copied_without(parameters: Parameters) -> None:
    stored = ParameterVector.of({name: tensor.requires_grad_() for name, tensor in parameters.items()})
    assert not any(view.requires_grad for view in stored.views.values())


def test_streams_are_keyed_by_seed_and_names() -> None:
    expected = generator(3, "init", "0.weight").standard_normal(4)
    assert np.array_equal(streams(3, "init")("0.weight").standard_normal(4), expected)
    for other in (streams(4, "init")("0.weight"), streams(3, "init")("0.bias"), streams(3, "value")("0.weight")):
        assert not np.array_equal(other.standard_normal(4), expected)
