"""The value network."""

import numpy as np
import torch
from torch import Tensor

from pgexp.baselines.baseline import Baseline, Predictor
from pgexp.functional.arrays import Floats, Observations
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.diagnostics import explained_variance
from pgexp.functional.surrogate import squared_error
from pgexp.networks.parameters import cast, streams
from pgexp.schema import names
from pgexp.schema.types import Factory, PositiveFloat, PositiveInt


class ValueNetwork(Baseline, Predictor):
    """``b(s) = v(s)``, a network of its own, fitted to the credits by least squares (Sutton & Barto 2018, sec. 13.4).

    After a batch was used, Adam takes `fit_steps` steps of rate `lr` on its mean squared error. Unbiased, since a batch
    is valued before it is fitted. Each fit step costs about what the policy's update costs.
    """

    biased = False

    def __init__(
        self,
        inputs: int,
        seed: int,
        dtype: torch.dtype,
        network: Factory,
        lr: PositiveFloat,
        fit_steps: PositiveInt,
    ) -> None:
        self._network = network(inputs=inputs, outputs=1)
        initial = cast(self._network.initial(streams(seed, "init", "value")), dtype)
        self._parameters = {name: tensor.unsqueeze(0).requires_grad_() for name, tensor in initial.items()}
        self._optimizer = torch.optim.Adam(self._parameters.values(), lr=lr, fused=True)
        self._dtype = dtype
        self._fit_steps = fit_steps

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return v at each step's observation, [S]."""
        return self.predict(batch.observations)

    def predict(self, observations: Observations) -> Floats:
        """Return v at each of the observations, [n, O]; the result: [n]."""
        with torch.no_grad():
            return self._forward(torch.from_numpy(observations)).numpy().astype(np.float64)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Fit v to the batch; return the loss and the explained variance from before the fit."""
        observations = torch.from_numpy(batch.observations)
        target = torch.from_numpy(credit.of_steps).to(self._dtype)
        metrics: dict[str, float] = {}
        for _ in range(self._fit_steps):
            prediction = self._forward(observations)
            loss = squared_error(prediction, target)
            if not metrics:
                metrics = _fit(prediction, credit.of_steps, loss)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        return metrics

    def _forward(self, observations: Tensor) -> Tensor:
        result: Tensor = self._network(self._parameters, observations.unsqueeze(0))
        return result[0, :, 0]


def _fit(prediction: Tensor, target: Floats, loss: Tensor) -> dict[str, float]:
    metrics = {names.VALUE_LOSS: loss.item()}
    explained = explained_variance(prediction.detach().numpy().astype(np.float64), target)
    return metrics if explained is None else metrics | {names.EXPLAINED_VARIANCE: explained}
