"""A run's numbers do not depend on how many runs are stacked beside it: to the last bit, operation by operation.

Here stands every operation that collection and evaluation apply to stacked runs; a new one belongs here too. Updates
are made run by run, on a stack of one, and need no such proof.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pgexp.envs.dynamics.cartpole import CartPole
from pgexp.functional.distributions.bernoulli import Bernoulli
from pgexp.functional.distributions.beta import Beta
from pgexp.functional.distributions.categorical import Categorical
from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.distributions.gaussian import Gaussian
from pgexp.functional.distributions.multi_categorical import MultiCategorical
from pgexp.functional.distributions.squashed_gaussian import SquashedGaussian
from pgexp.functional.products import stacked_product
from pgexp.networks.layers import ACTIVATIONS
from pgexp.networks.parameters import select

SIZES = (1, 2, 3, 4, 8, 24, 64)
STACKED = (1, 2, 5, 32)
RUNS = max(STACKED)
DTYPES = (torch.float32, torch.float64)


def drawn(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


def assert_rows_are_independent(operation: Callable[..., Tensor], *stacked: Tensor) -> None:
    """Hold each operation on a few of the runs, wherever they stand, to the same runs among all."""
    among = operation(*(tensor.clone() for tensor in stacked))
    for count in STACKED:
        for first in {0, 1, 3, RUNS // 2, RUNS - count}:
            runs = slice(first, first + count)
            if first + count <= RUNS:
                few = operation(*(tensor[runs].clone() for tensor in stacked))
                assert torch.equal(few, among[runs]), (count, first)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("bias", [True, False])
def test_products(rows: int, bias: bool, dtype: torch.dtype) -> None:
    for inputs, outputs in itertools.product(SIZES, SIZES):
        x, weight = drawn(RUNS, rows, inputs, dtype=dtype), drawn(RUNS, inputs, outputs, dtype=dtype)
        parts = (x, weight, drawn(RUNS, outputs, dtype=dtype)) if bias else (x, weight)
        assert_rows_are_independent(stacked_product, *parts)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, dtype: torch.dtype) -> None:
    for rows, width in itertools.product(SIZES, SIZES):
        assert_rows_are_independent(ACTIVATIONS[name], drawn(RUNS, rows, width, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", SIZES)
def test_sampling(rows: int, dtype: torch.dtype) -> None:
    """Softmax and its cumulative sum, which decide where the noise falls, and the sample itself."""
    noise = torch.rand(RUNS, rows, 1, generator=torch.Generator().manual_seed(0))
    for actions in (*SIZES, 18):
        outputs = drawn(RUNS, rows, actions, dtype=dtype)
        assert_rows_are_independent(lambda x: torch.softmax(x, -1), outputs)
        assert_rows_are_independent(lambda x: torch.softmax(x, -1).cumsum(-1), outputs)
        assert_rows_are_independent(Categorical(actions).sample, outputs, noise)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", SIZES)
def test_modes(rows: int, dtype: torch.dtype) -> None:
    for actions in SIZES:
        assert_rows_are_independent(Categorical(actions).mode, drawn(RUNS, rows, actions, dtype=dtype).round())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", [torch.exp, torch.log1p, torch.tanh])
def test_elementwise_operations_of_distributions_and_heads(
    operation: Callable[[Tensor], Tensor], dtype: torch.dtype
) -> None:
    """On tensors as they come, and on parts of a last axis, whose elements do not lie side by side."""
    for rows, width in itertools.product(SIZES, SIZES):
        x = drawn(RUNS, rows, width + 3, dtype=dtype).abs()
        assert_rows_are_independent(operation, x)
        assert_rows_are_independent(lambda x: operation(x[..., 1:-2]), x)


VECTORS: dict[str, Callable[[int], Distribution]] = {
    "multi_categorical": lambda size: MultiCategorical(tuple(2 + d % 4 for d in range(size))),
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "squashed_gaussian": SquashedGaussian,
    "beta": Beta,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("name", VECTORS)
def test_vectors_of_actions(name: str, rows: int, dtype: torch.dtype) -> None:
    """Samples and modes of parameters that fill their tensor, and of such as share it with others."""
    for size in (1, 2, 3, 6, 17):
        family = VECTORS[name](size)
        parameters = 1 + drawn(RUNS, rows, family.parameters + 1, dtype=dtype).abs()
        noise = torch.from_numpy(family.noise(np.random.default_rng(0), RUNS * rows)).reshape(RUNS, rows, -1)
        assert_rows_are_independent(family.sample, parameters[..., 1:], noise)
        assert_rows_are_independent(lambda x, z, f=family: f.sample(x[..., :-1], z), parameters, noise)
        assert_rows_are_independent(family.mode, parameters[..., 1:])
        assert_rows_are_independent(lambda x, f=family: f.mode(x[..., :-1]), parameters)


@pytest.mark.parametrize("rows", SIZES)
def test_switches_where_the_noise_is_at_their_probability_to_the_last_bit(rows: int) -> None:
    for size in SIZES:
        parameters = drawn(RUNS, rows, size, dtype=torch.float32)
        noise = torch.sigmoid(parameters)
        for beside in (noise, noise.nextafter(torch.ones(())), noise.nextafter(torch.zeros(()))):
            assert_rows_are_independent(Bernoulli(size).sample, parameters, beside)


@pytest.mark.parametrize("dtype", DTYPES)
def test_leaving_runs_out(dtype: torch.dtype) -> None:
    stacked = {"weight": drawn(RUNS, 3, 5, dtype=dtype)}
    for chosen in ([0], [31], [4, 9], [30, 2, 7], [*range(31)], [*range(32)]):
        assert torch.equal(select(stacked, chosen)["weight"], torch.stack([stacked["weight"][run] for run in chosen]))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100])
def test_cartpoles_rows_depend_neither_on_their_number_nor_on_their_place(count: int) -> None:
    generator = np.random.default_rng(0)
    state = generator.uniform(-3, 3, size=(100, 4))  # angles beyond what an episode sees, too
    action = generator.integers(2, size=100)
    among = CartPole().step(state, action)
    for first in {0, 1, 2, (100 - count) // 2, 100 - count}:
        rows = slice(first, first + count)
        if first + count <= 100:
            few = CartPole().step(state[rows], action[rows])
            assert all(np.array_equal(a, b[rows]) for a, b in zip(few, among, strict=True))
            assert np.array_equal(CartPole().observe(few[0]), CartPole().observe(among[0])[rows])


def test_an_operation_whose_rows_depend_on_each_other_would_be_found() -> None:
    with pytest.raises(AssertionError):
        assert_rows_are_independent(lambda x: x / x.norm(), drawn(RUNS, 3, 3, dtype=torch.float32))
