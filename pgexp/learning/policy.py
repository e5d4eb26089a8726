"""A policy: what it sees, a network, and a head that makes of its outputs a distribution over actions."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pgexp.baselines.baseline import Prediction
from pgexp.functional.batch import Batch
from pgexp.functional.distributions.distribution import Distribution
from pgexp.learning.observer import Observer
from pgexp.networks.heads.head import Head
from pgexp.networks.network import Inspectable, Network, RecurrentNetwork
from pgexp.networks.parameters import Parameters, cast, streams
from pgexp.networks.sequences import unroll


class Choice(NamedTuple):
    """What a policy did in R x N slots."""

    samples: Tensor  # [R, N] or [R, N, D]: what is stored and scored
    actions: Tensor  # the same, as the environment is given it
    memory: Tensor  # [R, N, Z]


class Reading(NamedTuple):
    """What a policy says of a batch's S steps."""

    parameters: Tensor  # [S, P], of the distributions of their actions
    values: Tensor | None  # [S], of a baseline that shares the network
    memory: Tensor  # [E, Z], after each episode's last step


@dataclass(frozen=True)
class Policy:
    """What all runs of a pack share; the parameters are each run's own.

    Where a baseline shares the network, its value is the network's last output; the head reads those before it.
    """

    observer: Observer
    network: Network | RecurrentNetwork
    head: Head
    shared: bool = False

    @property
    def distribution(self) -> Distribution:
        """The family of the distributions over actions."""
        return self.head.distribution

    @property
    def dtype(self) -> torch.dtype:
        """The precision of its parameters."""
        return self.observer.dtype

    @property
    def memory_size(self) -> int:
        """Z, the numbers that it remembers from step to step: 0 unless its network is recurrent."""
        return self.network.memory_size if isinstance(self.network, RecurrentNetwork) else 0

    def initial(self, seed: int) -> Parameters:
        """Return one run's first parameters, each drawn from the stream (seed, "init", its name)."""
        drawn = streams(seed, "init")
        own = self.network.initial(drawn) | self.head.initial(drawn)
        return cast(own, self.dtype) | self.observer.initial()

    def act(self, parameters: Parameters, observations: Tensor, memory: Tensor, noise: Tensor | None) -> Choice:
        """Return actions: sampled with the noise, [R, N, D], or the most probable ones without any.

        parameters: [R, ...], observations: [R, N, O], memory: [R, N, Z].
        """
        with torch.no_grad():
            x = self.observer.see(parameters, observations)
            if isinstance(self.network, RecurrentNetwork):
                memory = self.network.advance(parameters, self.network.encode(parameters, x), memory)
                outputs = self.network.decode(parameters, memory)
            else:
                outputs = self.network(parameters, x)
            of_head = self.head(parameters, outputs[..., : self.head.inputs])
            family = self.distribution
            samples = family.mode(of_head) if noise is None else family.sample(of_head, noise)
            return Choice(samples, self.head.act(samples), memory)

    def read(self, parameters: Parameters, batch: Batch) -> Reading:
        """Return what it says of a batch as it sees it, with gradients. parameters: one run's, [1, ...]."""
        x, memory = torch.from_numpy(batch.observations), torch.from_numpy(batch.memory)
        if isinstance(self.network, RecurrentNetwork):
            outputs, memory = unroll(self.network, parameters, x, batch.lengths, memory)
        else:
            outputs = self.network(parameters, x.unsqueeze(0))[0]
        values = outputs[:, -1] if self.shared else None
        of_head = self.head(parameters, outputs[:, : self.head.inputs].unsqueeze(0))[0]
        return Reading(of_head, values, memory)

    def hidden(self, parameters: Parameters, batch: Batch) -> list[Tensor]:
        """Return the network's hidden units at a batch's steps, a layer each, [S, units]; none if it tells none."""
        if not isinstance(self.network, Inspectable):
            return []
        x = torch.from_numpy(batch.observations).unsqueeze(0)
        return [layer[0] for layer in self.network.hidden(parameters, x)]

    def predict(self, parameters: Parameters, batch: Batch) -> Prediction:
        """Return the shared network's values of a batch as it sees it. parameters: one run's, [1, ...]."""
        with torch.no_grad():
            reading = self.read(parameters, batch)
            assert reading.values is not None, "no baseline shares this network"
            final = torch.from_numpy(batch.final).unsqueeze(0)
            if isinstance(self.network, RecurrentNetwork):
                encoded = self.network.encode(parameters, final)
                memory = self.network.advance(parameters, encoded, reading.memory.unsqueeze(0))
                outputs = self.network.decode(parameters, memory)
            else:
                outputs = self.network(parameters, final)
            return Prediction(_floats(reading.values), _floats(outputs[0, :, -1]))


def _floats(x: Tensor) -> np.ndarray:
    found: np.ndarray = x.numpy().astype(np.float64)
    return found
