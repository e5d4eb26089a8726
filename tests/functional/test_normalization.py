"""Moments merged batch by batch, and normalisation of observations."""

import numpy as np
import pytest
import torch

from pgexp.functional.normalization import Moments, normalized


def test_initial_moments_change_nothing() -> None:
    none = Moments.empty(3)
    assert (none.count, none.mean.tolist(), none.variance.tolist()) == (0, [0.0] * 3, [1.0] * 3)


@pytest.mark.parametrize("sizes", [(1,), (7,), (1, 1), (3, 1, 20), (50, 2)])
def test_merged_moments_equal_those_of_all_batches_together(sizes: tuple[int, ...]) -> None:
    draws = np.random.default_rng(sum(sizes))
    batches = [draws.normal(1e3, [1e-3, 1.0, 1e3], (size, 3)) for size in sizes]
    merged = Moments.empty(3)
    for batch in batches:
        merged = merged.merged(batch)
    everything = np.concatenate(batches)
    assert merged.count == len(everything)
    np.testing.assert_allclose(merged.mean, everything.mean(0), rtol=1e-12)
    np.testing.assert_allclose(merged.variance, everything.var(0), rtol=1e-7, atol=1e-12)


def test_single_precision_is_summed_in_double_precision() -> None:
    x = np.full((100_000, 1), 0.1, dtype=np.float32)
    assert Moments.empty(1).merged(x).mean[0] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_normalised_observations_are_shifted_scaled_and_clipped() -> None:
    x, mean, scale = torch.tensor([[1.0, 2.0], [4.0, -1.0]]), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0])
    assert normalized(x, mean, scale, None).tolist() == [[1.0, 3.0], [4.0, -6.0]]
    assert normalized(x, mean, scale, 2.0).tolist() == [[1.0, 2.0], [2.0, -2.0]]
