"""Deviations of Gaussian heads: initial values, bounds, and gradients at the bounds."""

import math

import pytest
import torch

from pgexp.networks.network import streams
from tests.heads import ROWS, SPACES, box, outputs, shipped


@pytest.mark.parametrize("name", ["gaussian", "squashed_gaussian"])
class TestDeviation:
    def test_the_heads_own_sigma_starts_at_initial_std(self, name: str) -> None:
        head = shipped(name, SPACES["box"], initial_std=0.5)
        assert head.inputs == 2
        own = head.initial(streams(0))
        assert own.keys() == {"head.log_std"}
        assert own["head.log_std"].tolist() == [math.log(0.5)] * 2
        assert own["head.log_std"].dtype == torch.float64
        x = outputs(2)
        parameters = {"head.log_std": torch.tensor([0.5, -1.0], dtype=torch.float64)}
        made = head(parameters, x)
        assert torch.equal(made[:, :2], x)
        assert made[:, 2:].tolist() == [[0.5, -1.0]] * ROWS

    def test_the_networks_is_initial_std_if_its_outputs_are_0(self, name: str) -> None:
        head = shipped(name, SPACES["box"], std="network", initial_std=0.5)
        assert head.inputs == 4
        assert head.initial(streams(0)) == {}
        x = outputs(4)
        x[0] = 0
        made = head({}, x)
        assert made[0].tolist() == [0.0, 0.0, math.log(0.5), math.log(0.5)]
        torch.testing.assert_close(made[1:], x[1:] + torch.tensor([0, 0, math.log(0.5), math.log(0.5)]).double())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("std", ["parameter", "network"])
    def test_it_stays_within_its_bounds(self, name: str, std: str, dtype: torch.dtype) -> None:
        head = shipped(name, SPACES["box"], std=std, min_std=0.25, initial_std=1.0, max_std=4.0)
        raw = torch.tensor([-1e4, 1e4], dtype=dtype)
        x = torch.zeros(ROWS, head.inputs, dtype=dtype)
        if std == "network":
            x[:, 2:] = raw
        made = head({"head.log_std": raw}, x)[:, 2:].exp()
        torch.testing.assert_close(made, torch.tensor([0.25, 4.0], dtype=dtype).expand(ROWS, 2))

    @pytest.mark.parametrize("std", ["parameter", "network"])
    @pytest.mark.parametrize(("beyond", "bound"), [(20.0, 5.0), (1e-4, 0.1)])
    def test_outside_of_the_bounds_the_gradient_is_that_at_the_bound(
        self, name: str, std: str, beyond: float, bound: float
    ) -> None:
        """The score of log sigma is u^2 / sigma^2 - 1. With torch.clamp's gradient, 0, sigma could not return."""
        head = shipped(name, box((-1.0, 1.0)), std=std, min_std=0.1, initial_std=1.0, max_std=5.0)
        u = torch.tensor([[0.5], [-2.0]], dtype=torch.float64)
        log_std = torch.full((1,), math.log(beyond), dtype=torch.float64, requires_grad=True)
        mean = torch.zeros_like(u)
        x = mean if std == "parameter" else torch.cat([mean, log_std.expand(2, 1)], -1)
        head.distribution.log_prob(head({"head.log_std": log_std}, x), u).sum().backward()
        assert log_std.grad is not None
        assert log_std.grad.item() == pytest.approx((0.25 + 4.0) / bound**2 - 2)

    def test_within_the_bounds_gradients_equal_finite_differences(self, name: str) -> None:
        for std in ("parameter", "network"):
            head = shipped(name, SPACES["box"], std=std)
            x = (0.3 * outputs(head.inputs)).requires_grad_()
            log_std = torch.zeros(2, dtype=torch.float64, requires_grad=std == "parameter")
            assert torch.autograd.gradcheck(lambda x, s, head=head: head({"head.log_std": s}, x).cos(), (x, log_std))

    @pytest.mark.parametrize("stds", [(0.5, 0.1, 0.4), (0.05, 0.1, 0.4)])
    def test_an_initial_deviation_outside_of_the_bounds_is_refused(
        self, name: str, stds: tuple[float, float, float]
    ) -> None:
        first, least, most = stds
        with pytest.raises(ValueError, match=r"initial_std must be within \[0.1, 0.4\]"):
            shipped(name, SPACES["box"], initial_std=first, min_std=least, max_std=most)
