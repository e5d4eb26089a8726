"""A policy: a network whose outputs parameterise a distribution over actions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pgexp.functional.distributions import Distribution
from pgexp.networks.network import Network
from pgexp.networks.parameters import Parameters, cast, streams


@dataclass(frozen=True)
class Policy:
    """The network and the distribution that all runs of a pack share; the parameters are each run's own."""

    network: Network
    distribution: Distribution
    dtype: torch.dtype

    def initial(self, seed: int) -> Parameters:
        """Return one run's first parameters, each drawn from the stream (seed, "init", its name)."""
        return cast(self.network.initial(streams(seed, "init")), self.dtype)

    def act(self, parameters: Parameters, observations: Tensor, noise: Tensor | None) -> Tensor:
        """Return actions [R, N]: sampled with the noise, [R, N, D], or the most probable ones without any.

        parameters: [R, ...], observations: [R, N, O].
        """
        with torch.no_grad():
            outputs = self.network(parameters, observations)
            return self.distribution.mode(outputs) if noise is None else self.distribution.sample(outputs, noise)
