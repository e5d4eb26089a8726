"""Masked policies compared with distributions that are renormalised over the allowed actions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import entropy

from pgexp.algorithms.policy import ObservationNormalizer, Policy
from pgexp.functional.batch import Batch
from pgexp.networks.feedforward import Linear
from pgexp.networks.heads.head import Head
from pgexp.networks.network import Parameters
from tests.episodes import Episode, batch_of
from tests.heads import SPACES, shipped

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

STEPS = 40
DTYPES = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])


def policy_of(head: Head, dtype: torch.dtype, shared: bool = False) -> tuple[Policy, Parameters]:
    """Return a policy whose network is the identity: observations are outputs."""
    size = head.inputs + shared
    network = Linear(size, size, bias=False, initialization="zeros", gain=1.0)
    policy = Policy(ObservationNormalizer(dtype, None, None), network, head, shared)
    return policy, {"0.weight": torch.eye(size, dtype=dtype)}


def masked_batch(size: int, masks: Flags, dtype: torch.dtype, seed: int = 0) -> Batch:
    """Return a batch of episodes of one step with normal observations."""
    observations = np.random.default_rng(seed).normal(scale=2.0, size=(len(masks), size))
    batch = batch_of(*(Episode([row], [0], [0.0]) for row in observations.tolist()))
    name = str(dtype).removeprefix("torch.")
    return replace(batch, observations=batch.observations.astype(name), masks=masks)


def masks_of(*counts: int) -> Flags:
    """Return masks [STEPS, sum of counts] that allow at least one choice of each component."""
    source = np.random.default_rng(1)
    parts = []
    for count in counts:
        part = source.random((STEPS, count)) < 0.5
        part[np.arange(STEPS), source.integers(count, size=STEPS)] = True
        parts.append(part)
    return np.concatenate(parts, axis=1)


def renormalised(logits: Floats, masks: Flags) -> Floats:
    """Return the softmax over the allowed choices, 0 for the others."""
    weights = np.where(masks, np.exp(logits.astype(np.float64)), 0.0)
    return weights / weights.sum(-1, keepdims=True)


def assert_near(found: torch.Tensor, expected: Floats, tolerance: float) -> None:
    np.testing.assert_allclose(found.detach().double(), expected, rtol=tolerance, atol=tolerance)


@DTYPES
class TestCategorical:
    def test_log_probabilities_and_entropy(self, dtype: torch.dtype, tolerance: float) -> None:
        policy, parameters = policy_of(shipped("categorical", SPACES["discrete"]), dtype)
        masks = masks_of(4)
        batch = masked_batch(4, masks, dtype)
        found, p = policy.forward(parameters, batch).parameters, renormalised(batch.observations, masks)
        assert 10 < (p == 0).sum() < 4 * STEPS
        for action in range(4):
            log_prob = policy.distribution.log_prob(found, torch.full((STEPS,), action))
            allowed = masks[:, action]
            assert_near(log_prob[allowed], np.log(p[allowed, action]), tolerance)
            assert (log_prob[~allowed].exp() == 0).all()
            assert log_prob.isfinite().all()
        assert_near(policy.distribution.entropy(found), entropy(p, axis=1), tolerance)

    def test_divergence(self, dtype: torch.dtype, tolerance: float) -> None:
        policy, parameters = policy_of(shipped("categorical", SPACES["discrete"]), dtype)
        masks = masks_of(4)
        old, new = masked_batch(4, masks, dtype), masked_batch(4, masks, dtype, seed=1)
        expected = entropy(renormalised(old.observations, masks), renormalised(new.observations, masks), axis=1)
        found = policy.distribution.kl(*(policy.forward(parameters, batch).parameters for batch in (old, new)))
        assert_near(found, expected, 10 * tolerance)

    def test_a_prior_is_renormalised_too(self, dtype: torch.dtype, tolerance: float) -> None:
        prior = np.array([0.1, 0.2, 0.3, 0.4])
        policy, parameters = policy_of(shipped("categorical", SPACES["discrete"], prior=prior.tolist()), dtype)
        masks = masks_of(4)
        batch = masked_batch(4, masks, dtype)
        p = renormalised(batch.observations + np.log(prior), masks)
        assert_near(torch.softmax(policy.forward(parameters, batch).parameters, -1), p, tolerance)

    def test_the_value_of_a_shared_network_is_not_masked(self, dtype: torch.dtype, tolerance: float) -> None:
        policy, parameters = policy_of(shipped("categorical", SPACES["discrete"]), dtype, shared=True)
        masks = masks_of(4)
        batch = masked_batch(5, masks, dtype)
        output = policy.forward(parameters, batch)
        assert output.values is not None
        assert_near(output.values, batch.observations[:, 4], tolerance)
        assert_near(torch.softmax(output.parameters, -1), renormalised(batch.observations[:, :4], masks), tolerance)

    def test_gradients_of_forbidden_logits_are_0(self, dtype: torch.dtype, tolerance: float) -> None:
        policy, parameters = policy_of(shipped("categorical", SPACES["discrete"]), dtype)
        weight = parameters["0.weight"].requires_grad_()
        mask = np.array([[True, False, True, False]])
        batch = masked_batch(4, mask, dtype)
        found = policy.forward(parameters, batch).parameters
        log_prob, own = policy.distribution.log_prob(found, torch.tensor([2])), policy.distribution.entropy(found)
        score, of_entropy = (torch.autograd.grad(each.sum(), weight, retain_graph=True)[0] for each in (log_prob, own))
        p = renormalised(batch.observations, mask)[0]
        assert_near(score, np.outer(batch.observations[0], np.eye(4)[2] - p), tolerance)
        log_p = np.log(np.where(p > 0, p, 1.0))
        assert_near(of_entropy, np.outer(batch.observations[0], -p * (log_p - p @ log_p)), tolerance)
        assert not score[:, [1, 3]].any()


@DTYPES
def test_components_of_choices_are_renormalised_each(dtype: torch.dtype, tolerance: float) -> None:
    policy, parameters = policy_of(shipped("multi_categorical", SPACES["multi_discrete"]), dtype)
    masks = masks_of(2, 3)
    batch = masked_batch(5, masks, dtype)
    found = policy.forward(parameters, batch).parameters
    first = renormalised(batch.observations[:, :2], masks[:, :2])
    second = renormalised(batch.observations[:, 2:], masks[:, 2:])
    assert_near(policy.distribution.entropy(found), entropy(first, axis=1) + entropy(second, axis=1), tolerance)
    choices = np.stack([first.argmax(1), second.argmax(1)], -1)
    expected = np.log(first.max(1)) + np.log(second.max(1))
    assert_near(policy.distribution.log_prob(found, torch.from_numpy(choices)), expected, tolerance)


@DTYPES
def test_a_forbidden_switch_is_off_with_certainty(dtype: torch.dtype, tolerance: float) -> None:
    policy, parameters = policy_of(shipped("bernoulli", SPACES["multi_binary"]), dtype)
    masks = np.random.default_rng(0).random((STEPS, 3)) < 0.5
    batch = masked_batch(3, masks, dtype)
    found = policy.forward(parameters, batch).parameters
    p = np.where(masks, expit(batch.observations.astype(np.float64)), 0.0)
    both = entropy(np.stack([p, 1 - p]), axis=0).sum(1)
    assert_near(policy.distribution.entropy(found), both, tolerance)
    off = torch.zeros(STEPS, 3, dtype=torch.int64)
    assert_near(policy.distribution.log_prob(found, off), np.log1p(-p).sum(1), tolerance)


@pytest.mark.parametrize("name", ["categorical", "multi_categorical", "bernoulli"])
def test_a_mask_of_all_choices_changes_no_bit(name: str) -> None:
    kinds = {"categorical": "discrete", "multi_categorical": "multi_discrete", "bernoulli": "multi_binary"}
    policy, parameters = policy_of(shipped(name, SPACES[kinds[name]]), torch.float32)
    size = policy.head.inputs
    batch = masked_batch(size, np.ones((STEPS, size), bool), torch.float32)
    plain = policy.forward(parameters, replace(batch, masks=None))
    assert torch.equal(policy.forward(parameters, batch).parameters, plain.parameters)
