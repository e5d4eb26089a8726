"""Gradients of single episodes."""

from collections.abc import Sequence

import numpy as np
import torch

from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch
from pgexp.learning.observer import trainable
from pgexp.learning.policy import Policy
from pgexp.networks.parameters import Parameters


def episode_scores(policy: Policy, parameters: Parameters, batch: Batch, weights: Sequence[Floats]) -> list[Floats]:
    """Return each episode's ``sum_t w_t grad log pi(a_t | s_t)``, [E, P], for each of the weights, [S].

    batch: as the observer sees it; P counts all trainable parameters. It costs an update's time for each of the
    weights, and the overhead of a small update for each episode.
    """
    rows: list[list[Floats]] = [[] for _ in weights]
    leaves = list(trainable(parameters).values())
    for episode, steps in batch.episodes():
        reading = policy.read(parameters, episode)
        log_prob = policy.distribution.log_prob(reading.parameters, torch.from_numpy(episode.actions))
        for found, weight in zip(rows, weights, strict=True):
            outputs = torch.from_numpy(weight[steps]).to(log_prob.dtype)
            gradients = torch.autograd.grad(log_prob, leaves, outputs, retain_graph=True, materialize_grads=True)
            found.append(np.concatenate([gradient.numpy().ravel() for gradient in gradients]).astype(np.float64))
    return [np.array(found) for found in rows]
