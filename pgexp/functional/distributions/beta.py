"""Independent beta distributions: a vector whose components lie between 0 and 1."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from pgexp.functional.distributions.distribution import Distribution
from pgexp.functional.operations import digamma, lgamma, log

LAST = 1 - 2.0**-53  # largest number below 1


@dataclass(frozen=True)
class Beta(Distribution):
    """The distribution over (0, 1)^D with parameters [alpha, beta], D of each, none below 1 (Chou et al. 2017).

    The density has one maximum and no pole. Log-probabilities, entropies and divergences are computed in float64,
    because logarithms of Gamma in the thousands cancel if alpha and beta are large.
    """

    size: int

    @property
    def parameters(self) -> int:
        """Alpha and beta, one of each per component."""
        return 2 * self.size

    @property
    def draws(self) -> int:
        """One uniform number per component."""
        return self.size

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return the x whose cumulative probability is the uniform number, computed in float64."""
        alpha, beta = _halves(parameters.detach())
        x = special.betaincinv(alpha.numpy(), beta.numpy(), np.minimum(uniforms.numpy() + 2.0**-54, LAST))
        return _inside(torch.from_numpy(x).to(parameters.dtype))

    def mode(self, parameters: Tensor) -> Tensor:
        """Return ``(alpha - 1) / (alpha + beta - 2)``; 1/2 where both are 1 and all x are equal."""
        above = parameters - 1 + torch.finfo(parameters.dtype).tiny
        alpha, beta = above.chunk(2, -1)
        return _inside(alpha / (alpha + beta))

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``sum_d ((alpha_d - 1) log x_d + (beta_d - 1) log(1 - x_d) - log B(alpha_d, beta_d))``."""
        (alpha, beta), x = _halves(parameters), action.double()
        each = (alpha - 1) * log(x) + (beta - 1) * torch.from_numpy(special.log1p(-x.numpy())) - _log_beta(alpha, beta)
        return each.sum(-1).to(parameters.dtype)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return the sum over components of the differential entropy, psi the logarithmic derivative of Gamma.

        ``log B(alpha, beta) - (alpha - 1) psi(alpha) - (beta - 1) psi(beta) + (alpha + beta - 2) psi(alpha + beta)``
        """
        alpha, beta = _halves(parameters)
        own = (alpha - 1) * digamma(alpha) + (beta - 1) * digamma(beta)
        each = _log_beta(alpha, beta) - own + (alpha + beta - 2) * digamma(alpha + beta)
        return each.sum(-1).to(parameters.dtype)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return the sum over components of, with new parameters primed,

        ``log(B(alpha', beta') / B(alpha, beta)) + (alpha - alpha') E[log x] + (beta - beta') E[log(1 - x)]``,
        where ``E[log x] = psi(alpha) - psi(alpha + beta)``.
        """
        (alpha, beta), (new_alpha, new_beta) = _halves(old), _halves(new)
        both = digamma(alpha + beta)
        expected = (alpha - new_alpha) * (digamma(alpha) - both) + (beta - new_beta) * (digamma(beta) - both)
        each = _log_beta(new_alpha, new_beta) - _log_beta(alpha, beta) + expected
        return each.sum(-1).to(old.dtype)


def _halves(parameters: Tensor) -> tuple[Tensor, Tensor]:
    alpha, beta = parameters.double().chunk(2, -1)
    return alpha, beta


def _log_beta(alpha: Tensor, beta: Tensor) -> Tensor:
    return lgamma(alpha) + lgamma(beta) - lgamma(alpha + beta)


def _inside(x: Tensor) -> Tensor:
    """Keep x, in its precision, away from 0 and 1, where its logarithms are infinite."""
    margin = torch.finfo(x.dtype).eps
    return x.clamp(margin, 1 - margin)
