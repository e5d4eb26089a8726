"""Value network."""

import numpy as np
import torch
from torch import Tensor

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.arrays import Observations
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.optimizers import step
from pgexp.functional.surrogate import squared_error
from pgexp.networks.network import Network, RecurrentNetwork
from pgexp.networks.parameters import cast, streams
from pgexp.schema import names
from pgexp.schema.types import Factory, PositiveFloat, PositiveInt


class ValueNetwork(Predictor):
    """``b(s) = v(s)``, a network of its own, fitted to the credits by least squares (Sutton & Barto 2018, sec. 13.4).

    After a batch was used, Adam takes `fit_steps` steps of rate `lr` on its mean squared error. Unbiased, because a
    batch is valued before it is fitted. Each fit step costs about as much as the policy's update.
    """

    biased = False
    remembered = ("_parameters", "_optimizer")

    def __init__(
        self,
        inputs: int,
        shape: tuple[int, ...],
        seed: int,
        dtype: torch.dtype,
        network: Factory,
        lr: PositiveFloat,
        fit_steps: PositiveInt,
    ) -> None:
        self._network = network(inputs=inputs, outputs=1, shape=shape)
        if not isinstance(self._network, Network | RecurrentNetwork):
            raise ValueError(f"network must be a subclass of Network (got {type(self._network).__name__})")
        if isinstance(self._network, RecurrentNetwork):
            raise ValueError(
                f"{type(self._network).__name__} has a memory, which a separate value network cannot keep: "
                "set baseline=shared_value, which uses the policy's memory, or another baseline.network"
            )
        initial = cast(self._network.initial(streams(seed, "init", "value")), dtype)
        self._parameters = {name: tensor.requires_grad_() for name, tensor in initial.items()}
        self._optimizer = torch.optim.Adam(self._parameters.values(), lr=lr, fused=True)
        self._dtype = dtype
        self._fit_steps = fit_steps

    def predict(self, batch: Batch) -> Prediction:
        """Return v at each step's observation, and at each episode's final one."""
        return Prediction(self._values(batch.observations), self._values(batch.final))

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Fit v to the batch; return the loss from before the fit."""
        observations = torch.from_numpy(batch.observations)
        target = torch.from_numpy(credit.of_steps).to(self._dtype)
        losses = []
        for _ in range(self._fit_steps):
            loss = squared_error(self._forward(observations), target)
            losses.append(loss.item())
            gradients = torch.autograd.grad(loss, list(self._parameters.values()), materialize_grads=True)
            for tensor, gradient in zip(self._parameters.values(), gradients, strict=True):
                tensor.grad = gradient.contiguous()
            step(self._optimizer)
        return {names.VALUE_LOSS: losses[0]}

    def _values(self, observations: Observations) -> np.ndarray:
        with torch.no_grad():
            return self._forward(torch.from_numpy(observations)).numpy().astype(np.float64)

    def _forward(self, observations: Tensor) -> Tensor:
        result: Tensor = self._network(self._parameters, observations)
        return result[:, 0]
