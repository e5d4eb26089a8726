"""Value network."""

import numpy as np
import torch
from torch import Tensor

from pgexp.baselines.baseline import Prediction, Predictor
from pgexp.functional.batch import Batch, Returns
from pgexp.functional.optimization import squared_error, step
from pgexp.networks.network import Network, RecurrentNetwork, cast, streams
from pgexp.schema import names
from pgexp.schema.types import Factory, PositiveFloat, PositiveInt


class ValueNetwork(Predictor):
    """``b(s) = v(s)``, a separate network, fitted to the returns by least squares (Sutton & Barto 2018, sec. 13.4).

    After its use, each batch is fitted by `value_updates` steps of Adam on the mean squared error, with rate `lr`.
    Unbiased, because a batch's values are computed before the fit. Each step costs about one policy update.
    """

    biased = False
    state_attributes = ("_parameters", "_optimizer")

    def __init__(
        self,
        inputs: int,
        shape: tuple[int, ...],
        seed: int,
        dtype: torch.dtype,
        network: Factory,
        lr: PositiveFloat,
        value_updates: PositiveInt,
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
        self._value_updates = value_updates
        self._predicted: tuple[Batch, Tensor] | None = None  # of the batch that `update` is called with next

    def predict(self, batch: Batch) -> Prediction:
        """Return v at each step's observation, and at each episode's final observation."""
        values = self._forward(torch.from_numpy(batch.observations))
        self._predicted = batch, values
        with torch.no_grad():
            final = self._forward(torch.from_numpy(batch.final))
        return Prediction(_as_float64(values.detach()), _as_float64(final))

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Fit v to the batch; return the loss before the first step."""
        observations = torch.from_numpy(batch.observations)
        target = torch.from_numpy(returns.per_step).to(self._dtype)
        predicted = self._predicted
        self._predicted = None
        losses = []
        for update in range(self._value_updates):
            if update == 0 and predicted is not None and predicted[0] is batch:
                values = predicted[1]  # with the same parameters
            else:
                values = self._forward(observations)
            loss = squared_error(values, target)
            losses.append(loss.item())
            gradients = torch.autograd.grad(loss, list(self._parameters.values()), materialize_grads=True)
            for tensor, gradient in zip(self._parameters.values(), gradients, strict=True):
                tensor.grad = gradient.contiguous()
            step(self._optimizer)
        return {names.VALUE_LOSS: losses[0]}

    def _forward(self, observations: Tensor) -> Tensor:
        result: Tensor = self._network(self._parameters, observations)
        return result[:, 0]


def _as_float64(values: Tensor) -> np.ndarray:
    return values.numpy().astype(np.float64)
