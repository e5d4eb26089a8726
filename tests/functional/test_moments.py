"""Moments merged batch by batch are those of everything at once; what is normalised by them is centred and scaled."""

import numpy as np
import pytest
import torch

from pgexp.functional.moments import Moments
from pgexp.functional.normalization import normalized


def test_nothing_seen_leaves_everything_as_it_is() -> None:
    none = Moments.none(3)
    assert (none.count, none.mean.tolist(), none.variance.tolist()) == (0, [0.0] * 3, [1.0] * 3)


@pytest.mark.parametrize("sizes", [(1,), (7,), (1, 1), (3, 1, 20), (50, 2)])
def test_merged_batches_have_the_moments_of_all_they_hold(sizes: tuple[int, ...]) -> None:
    draws = np.random.default_rng(sum(sizes))
    batches = [draws.normal(1e3, [1e-3, 1.0, 1e3], (size, 3)) for size in sizes]
    merged = Moments.none(3)
    for batch in batches:
        merged = merged.merged(batch)
    everything = np.concatenate(batches)
    assert merged.count == len(everything)
    np.testing.assert_allclose(merged.mean, everything.mean(0), rtol=1e-12)
    np.testing.assert_allclose(merged.variance, everything.var(0), rtol=1e-7, atol=1e-12)


def test_single_precision_is_summed_in_double() -> None:
    x = np.full((100_000, 1), 0.1, dtype=np.float32)
    assert Moments.none(1).merged(x).mean[0] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_each_run_is_normalised_by_its_own_and_cut() -> None:
    x = torch.tensor([[[1.0, 2.0]], [[1.0, 2.0]]])
    mean, scale = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0, 3.0], [1.0, 0.5]])
    assert normalized(x, mean, scale, None).tolist() == [[[1.0, 3.0]], [[0.0, 1.0]]]
    assert normalized(x, mean, scale, 2.0).tolist() == [[[1.0, 2.0]], [[0.0, 1.0]]]
    assert normalized(-x, mean, scale, 2.0)[0].tolist() == [[-1.0, -2.0]]
