"""Policy: observer, network and head, which make a distribution over actions of an observation."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pgexp.baselines.baseline import Prediction
from pgexp.functional.batch import Batch
from pgexp.functional.distributions.distribution import Distribution
from pgexp.kernels.layout import Layer
from pgexp.learning.observer import Observer
from pgexp.networks.heads.head import Head
from pgexp.networks.network import Inspectable, Network, RecurrentNetwork
from pgexp.networks.parameters import Parameters, cast, streams
from pgexp.networks.sequences import unroll

_FORBIDDEN: Final = -1e9  # logit of an action that a mask forbids: probability 0, and finite products with it


class Choice(NamedTuple):
    """Actions of a policy for B observations."""

    samples: Tensor  # [B] or [B, D], stored and scored
    actions: Tensor  # the same, as the environment takes them
    memory: Tensor  # [B, Z]
    parameters: Tensor  # [B, P], of the distributions


class Reading(NamedTuple):
    """Outputs of a policy for the S steps of a batch."""

    parameters: Tensor  # [S, P], of the distributions over actions
    values: Tensor | None  # [S], of a baseline that shares the network
    memory: Tensor  # [E, Z], after each episode's last step


@dataclass(frozen=True)
class Policy:
    """The functions of a policy; its parameters are passed in.

    If a baseline shares the network, its value is the network's last output; the head reads the outputs before it.
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
    def outputs(self) -> int:
        """The number of the network's outputs."""
        return self.head.inputs + self.shared

    @property
    def memory_size(self) -> int:
        """Z, the numbers that it remembers from step to step: 0 unless its network is recurrent."""
        return self.network.memory_size if isinstance(self.network, RecurrentNetwork) else 0

    def initial(self, seed: int) -> Parameters:
        """Return a run's initial parameters, each drawn from the stream (seed, "init", its name)."""
        drawn = streams(seed, "init")
        own = self.network.initial(drawn) | self.head.initial(drawn)
        return cast(own, self.dtype) | self.observer.initial()

    def layers(self) -> list[Layer] | None:
        """Return observer and network as compiled layers, or None if network or head act in torch."""
        layers = self.network.layers()
        if layers is None or self.head.compiled() is None:
            return None
        return [*self.observer.layers(), *layers]

    def act(
        self,
        parameters: Parameters,
        observations: Tensor,
        memory: Tensor,
        uniforms: Tensor | None,
        masks: Tensor | None = None,
    ) -> Choice:
        """Return actions in torch, sampled with the uniform numbers, or the most probable ones without any.

        observations: [B, O], memory: [B, Z], uniforms: [B, draws] in float64, masks: [B, P], the allowed choices.
        """
        with torch.no_grad():
            x = self.observer.see(parameters, observations)
            if isinstance(self.network, RecurrentNetwork):
                memory = self.network.advance(parameters, self.network.encode(parameters, x), memory)
                outputs = self.network.decode(parameters, memory)
            else:
                outputs = self.network(parameters, x)
            of_head = _masked(self.head(parameters, outputs[:, : self.head.inputs]), masks)
            family = self.distribution
            samples = family.mode(of_head) if uniforms is None else family.sample(of_head, uniforms)
            return Choice(samples, self.head.act(samples), memory, of_head)

    def read(self, parameters: Parameters, batch: Batch) -> Reading:
        """Return the outputs for a batch as the observer sees it, with gradients."""
        x, memory = torch.from_numpy(batch.observations), torch.from_numpy(batch.memory)
        if isinstance(self.network, RecurrentNetwork):
            outputs, memory = unroll(self.network, parameters, x, batch.lengths, memory)
        else:
            outputs = self.network(parameters, x)
        values = outputs[:, -1] if self.shared else None
        masks = None if batch.masks is None else torch.from_numpy(batch.masks)
        of_head = self.head(parameters, outputs[:, : self.head.inputs])
        return Reading(_masked(of_head, masks), values, memory)

    def hidden(self, parameters: Parameters, batch: Batch) -> list[Tensor]:
        """Return the network's hidden units at a batch's steps, [S, units] per layer; none if it shows none."""
        if not isinstance(self.network, Inspectable):
            return []
        return list(self.network.hidden(parameters, torch.from_numpy(batch.observations)))

    def predict(self, parameters: Parameters, batch: Batch) -> Prediction:
        """Return the shared network's values of a batch as the observer sees it."""
        with torch.no_grad():
            reading = self.read(parameters, batch)
            assert reading.values is not None, "no baseline shares this network"
            final = torch.from_numpy(batch.final)
            if isinstance(self.network, RecurrentNetwork):
                encoded = self.network.encode(parameters, final)
                outputs = self.network.decode(parameters, self.network.advance(parameters, encoded, reading.memory))
            else:
                outputs = self.network(parameters, final)
            return Prediction(_floats(reading.values), _floats(outputs[:, -1]))


def _masked(parameters: Tensor, masks: Tensor | None) -> Tensor:
    """Return logits with those of forbidden choices replaced."""
    return parameters if masks is None else torch.where(masks, parameters, _FORBIDDEN)


def _floats(x: Tensor) -> np.ndarray:
    found: np.ndarray = x.numpy().astype(np.float64)
    return found
