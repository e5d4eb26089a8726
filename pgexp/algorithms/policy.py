"""Policy: observation normalizer, network and head, which map an observation to a distribution over actions."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pgexp.baselines.baseline import Prediction
from pgexp.functional.batch import Batch
from pgexp.functional.distributions import Distribution
from pgexp.functional.normalization import Moments, normalized
from pgexp.kernels.layout import Layer
from pgexp.networks.heads.head import Head
from pgexp.networks.network import Inspectable, Network, Parameters, RecurrentNetwork, cast, streams
from pgexp.networks.recurrent import unroll

MEAN: Final = "observations.mean"
SCALE: Final = "observations.scale"

_BYTE_SCALE = 1 / 255
_MIN_VARIANCE = 1e-8  # lower bound of a component's variance, for one that never varied
_FORBIDDEN: Final = -1e9  # logit of a masked action: its probability is 0, and products with it are finite


@dataclass(frozen=True)
class ObservationNormalizer:
    """Casts observations, scales bytes of images to [0, 1], and normalizes if it has a size.

    Means and scales are among the policy's parameters, so they are saved and evaluated with it; no optimizer changes
    them. They are constant during the collection of a batch and the update from it.
    """

    dtype: torch.dtype
    size: int | None  # O if observations are normalized
    limit: float | None  # normalized observations are clipped to +-limit

    def initial(self) -> Parameters:
        """Return the initial statistics, which normalize to the identity."""
        return {} if self.size is None else self.statistics(Moments.empty(self.size))

    def statistics(self, moments: Moments) -> Parameters:
        """Return mean and scale, [O], for the moments of past observations."""
        if self.size is None:
            return {}
        mean = torch.from_numpy(moments.mean).to(self.dtype)
        # Before the first batch the variance is 1, and the scale exactly 1.
        scale = torch.from_numpy(moments.variance).clamp(min=_MIN_VARIANCE).rsqrt().to(self.dtype)
        return {MEAN: mean, SCALE: scale}

    def normalize(self, parameters: Parameters, observations: Tensor) -> Tensor:
        """Return the network's input, [B, O]. observations: [B, O]."""
        x = self.cast(observations)
        return x if self.size is None else normalized(x, parameters[MEAN], parameters[SCALE], self.limit)

    def cast(self, observations: Tensor) -> Tensor:
        """Return the observations in the policy's precision, bytes divided by 255, not normalized."""
        x = observations.to(self.dtype)
        return x * _BYTE_SCALE if observations.dtype == torch.uint8 else x

    def normalize_batch(self, parameters: Parameters, batch: Batch) -> Batch:
        """Return the batch with the network's inputs as observations."""
        x, final = (
            self.normalize(parameters, torch.from_numpy(raw)).numpy() for raw in (batch.observations, batch.final)
        )
        return replace(batch, observations=x, final=final)

    def layers(self) -> list[Layer]:
        """Return the normalization as a compiled layer, or no layer."""
        if self.size is None:
            return []
        limit = float("inf") if self.limit is None else self.limit
        return [Layer("normalize", self.size, self.size, MEAN, SCALE, limit=limit)]


def trainable(parameters: Parameters) -> Parameters:
    """Return the parameters that an optimizer changes: all but the normalizer's statistics."""
    return {name: tensor for name, tensor in parameters.items() if name not in (MEAN, SCALE)}


class ActionOutput(NamedTuple):
    """Actions of a policy for B observations."""

    samples: Tensor  # [B] or [B, D], as stored for log-probabilities
    actions: Tensor  # [B] or [B, D], as the environment receives them
    memory: Tensor  # [B, Z]
    parameters: Tensor  # [B, P], of the distributions


class PolicyOutput(NamedTuple):
    """Outputs of a policy for the S steps of a batch."""

    parameters: Tensor  # [S, P], of the distributions over actions
    values: Tensor | None  # [S], of a baseline that shares the network
    memory: Tensor  # [E, Z], after each episode's last step


@dataclass(frozen=True)
class Policy:
    """The functions of a policy; its parameters are arguments.

    If a baseline shares the network, its value is the network's last output; the head reads the outputs before it.
    """

    normalizer: ObservationNormalizer
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
        return self.normalizer.dtype

    @property
    def outputs(self) -> int:
        """The number of the network's outputs."""
        return self.head.inputs + self.shared

    @property
    def memory_size(self) -> int:
        """Z, the size of a recurrent network's memory; 0 for other networks."""
        return self.network.memory_size if isinstance(self.network, RecurrentNetwork) else 0

    def initial(self, seed: int) -> Parameters:
        """Return a run's initial parameters, each drawn from the stream (seed, "init", its name)."""
        drawn = streams(seed, "init")
        own = self.network.initial(drawn) | self.head.initial(drawn)
        return cast(own, self.dtype) | self.normalizer.initial()

    def layers(self) -> list[Layer] | None:
        """Return normalizer and network as compiled layers, or None if network or head act in torch."""
        layers = self.network.layers()
        if layers is None or self.head.compiled() is None:
            return None
        return [*self.normalizer.layers(), *layers]

    def act(
        self,
        parameters: Parameters,
        observations: Tensor,
        memory: Tensor,
        uniforms: Tensor | None,
        masks: Tensor | None = None,
    ) -> ActionOutput:
        """Return actions, computed in torch.

        Args:
            parameters: the policy's.
            observations: [B, O].
            memory: [B, Z].
            uniforms: [B, draws] in float64, from which actions are sampled; None for greedy actions.
            masks: [B, P], the allowed choices.
        """
        with torch.no_grad():
            x = self.normalizer.normalize(parameters, observations)
            if isinstance(self.network, RecurrentNetwork):
                memory = self.network.advance(parameters, self.network.encode(parameters, x), memory)
                outputs = self.network.decode(parameters, memory)
            else:
                outputs = self.network(parameters, x)
            of_head = _masked(self.head(parameters, outputs[:, : self.head.inputs]), masks)
            family = self.distribution
            samples = family.mode(of_head) if uniforms is None else family.sample(of_head, uniforms)
            return ActionOutput(samples, self.head.act(samples), memory, of_head)

    def forward(self, parameters: Parameters, batch: Batch) -> PolicyOutput:
        """Return the outputs for a normalized batch, with gradients."""
        x, memory = torch.from_numpy(batch.observations), torch.from_numpy(batch.memory)
        if isinstance(self.network, RecurrentNetwork):
            outputs, memory = unroll(self.network, parameters, x, batch.lengths, memory)
        else:
            outputs = self.network(parameters, x)
        values = outputs[:, -1] if self.shared else None
        masks = None if batch.masks is None else torch.from_numpy(batch.masks)
        of_head = self.head(parameters, outputs[:, : self.head.inputs])
        return PolicyOutput(_masked(of_head, masks), values, memory)

    def hidden(self, parameters: Parameters, batch: Batch) -> list[Tensor]:
        """Return the network's hidden units at a batch's steps, [S, units] per layer; [] if it does not expose them."""
        if not isinstance(self.network, Inspectable):
            return []
        return list(self.network.hidden(parameters, torch.from_numpy(batch.observations)))

    def predict(self, parameters: Parameters, batch: Batch) -> Prediction:
        """Return the shared network's values of a normalized batch."""
        with torch.no_grad():
            output = self.forward(parameters, batch)
            assert output.values is not None, "no baseline shares this network"
            final = torch.from_numpy(batch.final)
            if isinstance(self.network, RecurrentNetwork):
                encoded = self.network.encode(parameters, final)
                outputs = self.network.decode(parameters, self.network.advance(parameters, encoded, output.memory))
            else:
                outputs = self.network(parameters, final)
            return Prediction(_floats(output.values), _floats(outputs[:, -1]))


def _masked(parameters: Tensor, masks: Tensor | None) -> Tensor:
    """Return the logits, with those of forbidden choices replaced."""
    return parameters if masks is None else torch.where(masks, parameters, _FORBIDDEN)


def _floats(x: Tensor) -> np.ndarray:
    found: np.ndarray = x.numpy().astype(np.float64)
    return found
