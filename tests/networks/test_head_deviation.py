"""Where the deviation of a Gaussian head starts, how it is bounded, and how it gets away from a bound."""

import math

import pytest
import torch

from pgexp.networks.parameters import streams
from tests.heads import ROWS, RUNS, SPACES, box, outputs, shipped


@pytest.mark.parametrize("name", ["gaussian", "squashed_gaussian"])
class TestDeviation:
    def test_of_the_heads_own_it_starts_at_initial_std_and_is_the_same_everywhere(self, name: str) -> None:
        head = shipped(name, SPACES["box"], initial_std=0.5)
        assert head.inputs == 2
        own = head.initial(streams(0))
        assert own.keys() == {"head.log_std"}
        assert own["head.log_std"].tolist() == [math.log(0.5)] * 2
        assert own["head.log_std"].dtype == torch.float64
        x = outputs(2)
        parameters = {"head.log_std": torch.tensor([[0.0, -1.0], [-2.0, -3.0], [1.0, 0.5]], dtype=torch.float64)}
        made = head(parameters, x)
        assert torch.equal(made[..., :2], x)
        for run in range(RUNS):
            assert made[run, :, 2:].tolist() == [parameters["head.log_std"][run].tolist()] * ROWS

    def test_of_the_networks_it_starts_at_initial_std_where_the_last_layer_starts_at_zero(self, name: str) -> None:
        head = shipped(name, SPACES["box"], std="network", initial_std=0.5)
        assert head.inputs == 4
        assert head.initial(streams(0)) == {}
        x = outputs(4)
        x[0] = 0
        made = head({}, x)
        assert made[0].tolist() == [[0.0, 0.0, math.log(0.5), math.log(0.5)]] * ROWS
        torch.testing.assert_close(made[1:], x[1:] + torch.tensor([0, 0, math.log(0.5), math.log(0.5)]).double())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("std", ["parameter", "network"])
    def test_it_stays_within_its_bounds(self, name: str, std: str, dtype: torch.dtype) -> None:
        head = shipped(name, SPACES["box"], std=std, min_std=0.25, initial_std=1.0, max_std=4.0)
        raw = torch.tensor([-1e4, 1e4], dtype=dtype).expand(RUNS, 2)
        x = torch.zeros(RUNS, ROWS, head.inputs, dtype=dtype)
        if std == "network":
            x[..., 2:] = raw.unsqueeze(1)
        made = head({"head.log_std": raw}, x)[..., 2:].exp()
        torch.testing.assert_close(made, torch.tensor([0.25, 4.0], dtype=dtype).expand(RUNS, ROWS, 2))

    @pytest.mark.parametrize("std", ["parameter", "network"])
    @pytest.mark.parametrize(("beyond", "bound"), [(20.0, 5.0), (1e-4, 0.1)])
    def test_beyond_a_bound_the_gradient_is_that_at_the_bound(
        self, name: str, std: str, beyond: float, bound: float
    ) -> None:
        """The score of log sigma is u^2 / sigma^2 - 1. With torch.clamp's own, 0, sigma would stay there for ever."""
        head = shipped(name, box((-1.0, 1.0)), std=std, min_std=0.1, initial_std=1.0, max_std=5.0)
        u = torch.tensor([[[0.5], [-2.0]]], dtype=torch.float64)
        log_std = torch.full((1, 1), math.log(beyond), dtype=torch.float64, requires_grad=True)
        mean = torch.zeros_like(u)
        x = mean if std == "parameter" else torch.cat([mean, log_std.expand(1, 2, 1)], -1)
        head.distribution.log_prob(head({"head.log_std": log_std}, x), u).sum().backward()
        assert log_std.grad is not None
        assert log_std.grad.item() == pytest.approx((0.25 + 4.0) / bound**2 - 2)

    def test_within_the_bounds_gradients_are_those_of_finite_differences(self, name: str) -> None:
        for std in ("parameter", "network"):
            head = shipped(name, SPACES["box"], std=std)
            x = (0.3 * outputs(head.inputs)).requires_grad_()
            log_std = torch.zeros(RUNS, 2, dtype=torch.float64, requires_grad=std == "parameter")
            assert torch.autograd.gradcheck(lambda x, s, head=head: head({"head.log_std": s}, x).cos(), (x, log_std))

    @pytest.mark.parametrize("given", [(0.5, 0.1, 0.4), (0.05, 0.1, 0.4)])
    def test_a_first_one_out_of_bounds_is_refused(self, name: str, given: tuple[float, float, float]) -> None:
        first, least, most = given
        with pytest.raises(ValueError, match=r"initial_std .* is outside of \[0.1, 0.4\]: set min_std <="):
            shipped(name, SPACES["box"], initial_std=first, min_std=least, max_std=most)
