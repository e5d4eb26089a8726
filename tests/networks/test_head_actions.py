"""Actions that heads make of samples."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import norm

from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads.automatic import AutomaticHead
from pgexp.networks.heads.box import BetaHead
from pgexp.networks.heads.head import Head
from tests.heads import INFINITE, SPACES, box, parameters_of, shipped


class TestAct:
    """The box is [-2, 2] x [0, 10]; expected numbers are computed by hand."""

    SAMPLE = torch.tensor([[0.0, 0.0], [0.5, 0.5], [3.0, -3.0], [-1.0, 1.0]])
    TANH = (math.tanh(0.5), math.tanh(3.0), math.tanh(1.0))

    @pytest.mark.parametrize(
        ("bounds", "expected"),
        [
            ("none", [[0.0, 0.0], [0.5, 0.5], [3.0, -3.0], [-1.0, 1.0]]),
            ("clip", [[0.0, 0.0], [0.5, 0.5], [2.0, 0.0], [-1.0, 1.0]]),
            ("rescale", [[0.0, 5.0], [1.0, 7.5], [2.0, 0.0], [-2.0, 10.0]]),
            (
                "tanh",
                [
                    [0.0, 5.0],
                    [2 * TANH[0], 5 + 5 * TANH[0]],
                    [2 * TANH[1], 5 - 5 * TANH[1]],
                    [-2 * TANH[2], 5 + 5 * TANH[2]],
                ],
            ),
        ],
    )
    def test_gaussian(self, bounds: str, expected: list[list[float]]) -> None:
        head = shipped("gaussian", SPACES["box"], bounds=bounds)
        before = self.SAMPLE.clone()
        torch.testing.assert_close(head.act(self.SAMPLE), torch.tensor(expected, dtype=torch.float64))
        assert torch.equal(self.SAMPLE, before)  # the sample itself is stored and scored

    def test_squashed_gaussian(self) -> None:
        head = shipped("squashed_gaussian", SPACES["box"])
        expected = shipped("gaussian", SPACES["box"], bounds="tanh").act(self.SAMPLE)
        assert torch.equal(head.act(self.SAMPLE), expected)

    def test_beta(self) -> None:
        sample = torch.tensor([[0.25, 0.25], [0.5, 1.0]])
        assert BetaHead(SPACES["box"]).act(sample).tolist() == [[-1.0, 2.5], [0.0, 10.0]]

    def test_an_infinite_bound_clips_nothing(self) -> None:
        head = AutomaticHead(box((-INFINITE, 1.0), (0.0, INFINITE), (-INFINITE, INFINITE)))
        sample = torch.tensor([[-1e6, 1e6, 1e6], [2.0, -1.0, -1e6]])
        assert head.act(sample).tolist() == [[-1e6, 1e6, 1e6], [1.0, 0.0, -1e6]]

    @pytest.mark.parametrize(
        "build",
        [
            lambda space: shipped("gaussian", space, bounds="tanh"),
            lambda space: shipped("gaussian", space, bounds="rescale"),
            lambda space: shipped("squashed_gaussian", space),
            lambda space: shipped("beta", space),
        ],
    )
    def test_maps_into_bounds_need_finite_bounds(self, build: Callable[[ActionSpace], Head]) -> None:
        for limits, shown in (((-INFINITE, 1.0), "-inf, 1"), ((0.0, INFINITE), "0, inf")):
            with pytest.raises(ValueError, match=rf"got \[{shown}\].*: set head=gaussian head.bounds=clip"):
                build(box((-1.0, 1.0), limits))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_rounding_stays_within_the_bounds(self, dtype: torch.dtype) -> None:
        limits = [(0.1, 0.3), (-0.4000000059604645, 0.4000000059604645), (-7.3, 1e-9), (1e-3, 25.0)]
        low, high = (np.array(each) for each in zip(*limits, strict=True))
        u = torch.linspace(-30, 30, 4001, dtype=dtype).unsqueeze(-1).expand(-1, 4)
        beta = torch.linspace(0, 1, 4001, dtype=dtype).unsqueeze(-1).expand(-1, 4)
        space = box(*limits)
        heads = [shipped("gaussian", space, bounds=bounds) for bounds in ("clip", "tanh", "rescale")]
        for head, sample in [*((head, u) for head in heads), (BetaHead(space), beta)]:
            action = head.act(sample)
            assert action.dtype == torch.float64
            assert (action.numpy() >= low).all()
            assert (action.numpy() <= high).all()
            assert (action.numpy()[0] == low).all()
            assert (action.numpy()[-1] == high).all()

    def test_a_sample_outside_of_the_bounds_is_scored_as_drawn(self) -> None:
        head = shipped("gaussian", SPACES["box"])
        made = head(parameters_of(head), torch.zeros(1, 2, dtype=torch.float64))
        sample = head.distribution.sample(made, torch.from_numpy(norm.cdf([[4.0, 4.0]])))
        assert sample[0].tolist() == pytest.approx([4.0, 4.0])
        assert head.act(sample)[0].tolist() == pytest.approx([2.0, 4.0])
        assert head.distribution.log_prob(made, sample).item() == pytest.approx(2 * norm.logpdf(4.0))
