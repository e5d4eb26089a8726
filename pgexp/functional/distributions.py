"""Distributions over actions: log-probability, entropy, divergence, and sampling."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from scipy.special import ndtri
from torch import Tensor
from torch.nn.functional import logsigmoid

from pgexp.functional.operations import digamma, exp, lgamma, log, log_softmax, softplus


class Distribution(ABC):
    """A family of distributions over actions, parameterised by the last axis of its parameters, [..., P].

    An action is a number, [...], or a vector of D components, [..., D]. A sample is a function of uniform random
    numbers, so that a draw depends on its stream alone. Compiled policies sample in kernels/sampling.py.
    """

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """P, the number of parameters of one distribution."""

    @property
    @abstractmethod
    def draws(self) -> int:
        """The number of uniform random numbers per sample."""

    @abstractmethod
    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return an action per row, by inverse transform.

        parameters: [..., P]; uniforms: [..., draws] in float64, from [0, 1); the result: [...] or [..., D].
        """

    @abstractmethod
    def mode(self, parameters: Tensor) -> Tensor:
        """Return the most probable action of each row. parameters: [..., P]; the result: [...] or [..., D]."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return log pi(a), summed over an action's components. parameters: [..., P]; the result: [...], in nats."""

    @abstractmethod
    def entropy(self, parameters: Tensor) -> Tensor:
        """Return each row's entropy. parameters: [..., P]; the result: [...], in nats."""

    @abstractmethod
    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return KL(old || new) of each row, exactly. old, new: [..., P]; the result: [...], in nats.

        It can be differentiated twice with respect to `new`: its second derivative at old = new is the Fisher matrix.
        """


@dataclass(frozen=True)
class Categorical(Distribution):
    """The distribution over `count` actions whose probabilities are the softmax of its parameters."""

    count: int

    @property
    def num_parameters(self) -> int:
        """The logits, one per action."""
        return self.count

    @property
    def draws(self) -> int:
        """One uniform number."""
        return 1

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return the action at which the cumulative probability exceeds the uniform number.

        Rounded probabilities need not add up to 1, so the number is taken as a share of their sum: an action of
        probability 0 is never sampled.
        """
        cumulative = torch.softmax(parameters.double(), -1).cumsum(-1)
        return (uniforms * cumulative[..., -1:] >= cumulative[..., :-1]).sum(-1)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the action of the largest logit, the first of several equal ones."""
        return parameters.argmax(-1)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``logit_a - logsumexp(logits)``."""
        return torch.log_softmax(parameters, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return ``- sum_a p_a log p_a``."""
        log_p = torch.log_softmax(parameters, -1)
        return -(exp(log_p) * log_p).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return ``sum_a p_a (log p_a - log q_a)``."""
        log_p, log_q = log_softmax(old), log_softmax(new)
        return (exp(log_p) * (log_p - log_q)).sum(-1)


@dataclass(frozen=True)
class MultiCategorical(Distribution):
    """The distribution over vectors of D choices, component d one of counts[d], with their logits one after another."""

    counts: tuple[int, ...]

    @property
    def num_parameters(self) -> int:
        """The logits, one per choice of each component."""
        return sum(self.counts)

    @property
    def draws(self) -> int:
        """One uniform number per component."""
        return len(self.counts)

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return each component's choice for its own uniform number."""
        drawn = [
            choice.sample(logits, own)
            for choice, logits, own in zip(self._choices, self._split(parameters), uniforms.split(1, -1), strict=True)
        ]
        return torch.stack(drawn, -1)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return each component's choice of the largest logit."""
        return torch.stack([logits.argmax(-1) for logits in self._split(parameters)], -1)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``sum_d log p_d(a_d)``."""
        each = [
            choice.log_prob(logits, own)
            for choice, logits, own in zip(self._choices, self._split(parameters), action.unbind(-1), strict=True)
        ]
        return torch.stack(each, -1).sum(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return the sum of the components' entropies."""
        each = [
            choice.entropy(logits) for choice, logits in zip(self._choices, self._split(parameters), strict=True)
        ]  # fmt: skip
        return torch.stack(each, -1).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return the sum of the components' divergences."""
        each = [
            choice.kl(before, after)
            for choice, before, after in zip(self._choices, self._split(old), self._split(new), strict=True)
        ]
        return torch.stack(each, -1).sum(-1)

    @property
    def _choices(self) -> list[Categorical]:
        return [Categorical(count) for count in self.counts]

    def _split(self, parameters: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = parameters.split(list(self.counts), -1)
        return parts


@dataclass(frozen=True)
class Bernoulli(Distribution):
    """The distribution over vectors of `size` zeros and ones, whose parameters are the logits ``log(p / (1 - p))``."""

    size: int

    @property
    def num_parameters(self) -> int:
        """The logits, one per component."""
        return self.size

    @property
    def draws(self) -> int:
        """One uniform number per component."""
        return self.size

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return 1 for each component whose uniform number is below p."""
        return (uniforms < torch.sigmoid(parameters)).long()

    def mode(self, parameters: Tensor) -> Tensor:
        """Return 1 where p is above one half."""
        return (parameters > 0).long()

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``sum_d log p_d(a_d)``, with ``p(1) = sigmoid(l)`` and ``p(0) = sigmoid(-l)``."""
        return logsigmoid(torch.where(action == 1, parameters, -parameters)).sum(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return ``- sum_d (p_d log p_d + (1 - p_d) log(1 - p_d))``."""
        p, q = torch.sigmoid(parameters), torch.sigmoid(-parameters)
        return -(p * logsigmoid(parameters) + q * logsigmoid(-parameters)).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return ``sum_d (p_d log(p_d / p'_d) + (1 - p_d) log((1 - p_d) / (1 - p'_d)))``, p' the new probabilities."""
        on = torch.sigmoid(old) * (logsigmoid(old) - logsigmoid(new))
        off = torch.sigmoid(-old) * (logsigmoid(-old) - logsigmoid(-new))
        return (on + off).sum(-1)


LOG_2_PI = math.log(2 * math.pi)
BELOW_ONE = 1 - 2.0**-53  # the largest float64 below 1


@dataclass(frozen=True)
class Gaussian(Distribution):
    """The distribution over vectors of `size` real components, with parameters [mean, log sigma], D of each."""

    size: int

    @property
    def num_parameters(self) -> int:
        """Mean and logarithm of the deviation, one of each per component."""
        return 2 * self.size

    @property
    def draws(self) -> int:
        """One uniform number per component."""
        return self.size

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return ``mean + sigma z``, z the standard normal quantile of the uniform number."""
        mean, log_std = parameters.chunk(2, -1)
        z = torch.from_numpy(ndtri(np.minimum(uniforms.numpy() + 2.0**-54, BELOW_ONE)))
        return mean + exp(log_std) * z.to(mean.dtype)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the mean."""
        return parameters[..., : self.size]

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return ``- sum_d ((a_d - mean_d)^2 / (2 sigma_d^2) + log sigma_d + log(2 pi) / 2)``."""
        mean, log_std = parameters.chunk(2, -1)
        z = (action - mean) * exp(-log_std)
        return -(0.5 * z.square() + log_std + 0.5 * LOG_2_PI).sum(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return ``sum_d (log sigma_d + (1 + log(2 pi)) / 2)``."""
        return (parameters[..., self.size :] + 0.5 * (1 + LOG_2_PI)).sum(-1)

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return ``sum_d (r_d^2 - 1 - log r_d^2 + m_d^2) / 2``.

        ``r = sigma / sigma'`` and ``m = (mean - mean') / sigma'``; the new parameters are primed. It uses expm1,
        because r^2 - 1 loses precision if the two are close, as they are after one step.
        """
        (mean, log_std), (new_mean, new_log_std) = old.chunk(2, -1), new.chunk(2, -1)
        log_square = 2 * (log_std - new_log_std)
        distance = (mean - new_mean) * exp(-new_log_std)
        return 0.5 * (torch.expm1(log_square) - log_square + distance.square()).sum(-1)


# The trapezoidal rule for expectations under the standard normal. It converges exponentially on analytic functions. If
# sigma is large, it converges sooner than Gauss-Hermite quadrature, whose outer nodes have almost no weight (Trefethen
# & Weideman 2014).
NODES = np.linspace(-7.0, 7.0, 113)
_DENSITIES = np.array([math.exp(-0.5 * node * node) for node in NODES.tolist()])
WEIGHTS = _DENSITIES / _DENSITIES.sum()


@dataclass(frozen=True)
class SquashedGaussian(Distribution):
    """The distribution over (-1, 1)^D of tanh(u), u normal with parameters [mean, log sigma] (Haarnoja et al. 2018).

    The stored sample is u, because tanh(u) rounds to 1 for large u and its log-probability would be infinite.
    """

    size: int

    @property
    def num_parameters(self) -> int:
        """Mean and logarithm of the deviation of u, one of each per component."""
        return self._unsquashed.num_parameters

    @property
    def draws(self) -> int:
        """One uniform number per component."""
        return self._unsquashed.draws

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return ``u = mean + sigma z``, not squashed."""
        return self._unsquashed.sample(parameters, uniforms)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the mean of u: the action's median, the usual greedy action (Haarnoja et al. 2018).

        The density's own maximum moves into the corners of the cube as sigma grows.
        """
        return self._unsquashed.mode(parameters)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return the log-density of tanh(u), ``log N(u) - sum_d log(1 - tanh(u_d)^2)``. action: u, [..., D]."""
        return self._unsquashed.log_prob(parameters, action) - _log_slope(action).sum(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return ``H(u) + sum_d E[log(1 - tanh(u_d)^2)]``, which has no closed form.

        The expectation is computed by quadrature, with an error below 1e-7 up to sigma = 5, and 1e-4 up to sigma = 10.
        """
        mean, log_std = parameters.unsqueeze(-1).chunk(2, -2)
        nodes, weights = parameters.new_tensor(NODES), parameters.new_tensor(WEIGHTS)
        slopes = _log_slope(mean + exp(log_std) * nodes)  # [..., D, nodes]
        return self._unsquashed.entropy(parameters) + (slopes * weights).sum((-2, -1))

    def kl(self, old: Tensor, new: Tensor) -> Tensor:
        """Return the divergence of the Gaussians: squashing is one to one and does not change it."""
        return self._unsquashed.kl(old, new)

    @property
    def _unsquashed(self) -> Gaussian:
        return Gaussian(self.size)


def _log_slope(u: Tensor) -> Tensor:
    """Return ``log(1 - tanh(u)^2) = 2 (log 2 - u - log(1 + exp(-2 u)))``, finite for every u."""
    return 2 * (math.log(2) - u - softplus(-2 * u))


@dataclass(frozen=True)
class Beta(Distribution):
    """The distribution over (0, 1)^D with parameters [alpha, beta], D of each, none below 1 (Chou et al. 2017).

    The density has one maximum and no pole. Log-probabilities, entropies and divergences are computed in float64,
    because logarithms of Gamma in the thousands cancel if alpha and beta are large.
    """

    size: int

    @property
    def num_parameters(self) -> int:
        """Alpha and beta, one of each per component."""
        return 2 * self.size

    @property
    def draws(self) -> int:
        """One uniform number per component."""
        return self.size

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return the x whose cumulative probability is the uniform number, computed in float64."""
        alpha, beta = _halves(parameters.detach())
        x = special.betaincinv(alpha.numpy(), beta.numpy(), np.minimum(uniforms.numpy() + 2.0**-54, BELOW_ONE))
        return _inside(torch.from_numpy(x).to(parameters.dtype))

    def mode(self, parameters: Tensor) -> Tensor:
        """Return ``(alpha - 1) / (alpha + beta - 2)``; 1/2 if both are 1, when all x are equally likely."""
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
        """Return the sum over components of the following, with the new parameters primed:

        ``log(B(alpha', beta') / B(alpha, beta)) + (alpha - alpha') E[log x] + (beta - beta') E[log(1 - x)]``,
        with ``E[log x] = psi(alpha) - psi(alpha + beta)``.
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
    """Clamp x so that log(x) and log(1 - x) are finite in its precision."""
    margin = torch.finfo(x.dtype).eps
    return x.clamp(margin, 1 - margin)
