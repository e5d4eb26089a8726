"""The stacked product equals one product a run, and so do its gradients."""

import itertools

import numpy as np
import pytest
import torch

from pgexp.functional.products import stacked_product

SHAPES = [*itertools.product((1, 3), (1, 2, 5), (1, 4), (1, 3))]


def drawn(runs: int, rows: int, inputs: int, outputs: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = (runs, rows, inputs), (runs, inputs, outputs), (runs, outputs), (runs, rows, outputs)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_run_is_multiplied_by_its_own_matrix(shape: tuple[int, int, int, int]) -> None:
    x, weight, bias, _ = drawn(*shape)
    product = np.einsum("rbi,rio->rbo", x, weight)
    np.testing.assert_allclose(stacked_product(x, weight), product, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        stacked_product(x, weight, bias), product + bias.numpy()[:, None], rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_each_runs_product(shape: tuple[int, int, int, int]) -> None:
    x, weight, bias, upstream = drawn(*shape)
    for tensor in (x, weight, bias):
        tensor.requires_grad_()
    (stacked_product(x, weight, bias) * upstream).sum().backward()
    with torch.no_grad():
        np.testing.assert_allclose(x.grad, np.einsum("rbo,rio->rbi", upstream, weight), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(weight.grad, np.einsum("rbi,rbo->rio", x, upstream), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(bias.grad, upstream.sum(1), rtol=1e-12, atol=1e-14)
