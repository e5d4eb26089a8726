"""Compiled sampling compared with exact probabilities, SciPy's quantiles, and the same heads in torch.

A grid of n uniform numbers makes frequencies exact: an action of probability p is drawn for n p of them, give or take
one for each end of its interval.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax
from scipy.stats import norm

from pgexp.algorithms.policy import ObservationNormalizer, Policy
from pgexp.functional.spaces import ActionSpace
from pgexp.kernels import signatures
from pgexp.kernels.compilation import compiled
from pgexp.kernels.layout import Layer, layout_of
from pgexp.networks.feedforward import Linear
from pgexp.networks.heads.automatic import AutomaticHead
from pgexp.networks.heads.box import GaussianHead, SquashedGaussianHead
from pgexp.networks.heads.discrete import BernoulliHead, CategoricalHead, MultiCategoricalHead
from pgexp.networks.heads.head import Head
from pgexp.networks.network import Parameters, ParameterVector, cast, streams

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-14}
"""Largest error of a cumulative probability."""
LARGEST = 1 - 2.0**-53  # the largest uniform number
GRID = (np.arange(2048) + 0.5) / 2048
INFINITE = float("inf")

BOX = ActionSpace("box", 2, low=(-2.0, 0.0), high=(2.0, 10.0))
GAUSSIAN: dict[str, Any] = {"std": "parameter", "initial_std": 1.0, "min_std": 1e-3, "max_std": 10.0, "bounds": "clip"}


def categorical(count: int, prior: list[float] | None = None) -> CategoricalHead:
    return CategoricalHead(ActionSpace("discrete", 1, counts=(count,)), prior)


def multi_categorical(*counts: int) -> MultiCategoricalHead:
    return MultiCategoricalHead(ActionSpace("multi_discrete", len(counts), counts=counts))


def bernoulli(size: int) -> BernoulliHead:
    return BernoulliHead(ActionSpace("multi_binary", size))


def gaussian(space: ActionSpace = BOX, **changed: Any) -> GaussianHead:
    return GaussianHead(space, **{**GAUSSIAN, **changed})


def squashed(**changed: Any) -> SquashedGaussianHead:
    settings = {name: value for name, value in GAUSSIAN.items() if name != "bounds"}
    return SquashedGaussianHead(BOX, **{**settings, **changed})


@dataclass
class Sampler:
    """A head's compiled sampling. The head's own parameters lie behind a network's parameter."""

    head: Head
    dtype: torch.dtype
    own: Parameters = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.own = cast(self.head.initial(streams(0)) | self.own, self.dtype)
        head = self.head.compiled()
        assert head is not None
        vector = ParameterVector.of({"0.weight": torch.full((1, 1), float("nan"), dtype=self.dtype), **self.own})
        offset = -1 if head.parameter is None else vector.offsets[head.parameter]
        self._fixed = (
            vector.vector.numpy(),
            layout_of([Layer("dense", 1, 1, "0.weight")], vector.offsets, offset),
            np.array(head.constants, dtype=np.float64),
        )
        real = signatures.f4 if self.dtype == torch.float32 else signatures.f8
        self._kernel = compiled(head.sample, signatures.sample(real))

    def __call__(
        self, outputs: Any, uniforms: Any = None, mask: Any = None, greedy: bool = False
    ) -> tuple[Floats, Floats]:
        """Return a sample and an action, [D] each. Without uniform numbers they are NaN."""
        real = np.array(outputs, dtype=str(self.dtype).removeprefix("torch."))
        size = self.head.distribution.draws
        own = np.full(size, np.nan) if uniforms is None else np.array(uniforms, dtype=np.float64).reshape(size)
        allowed = np.ones(real.size, bool) if mask is None else np.array(mask, dtype=bool)
        sample, action = np.full(size, np.nan), np.full(size, np.nan)
        self._kernel(*self._fixed, real, own, allowed, int(greedy), sample, action)
        return sample, action


def samples_of(sampler: Sampler, outputs: Any, uniforms: Floats, mask: Any = None) -> NDArray[np.int64]:
    """Return the samples for each row of uniform numbers, [n, D]. The actions are equal to them."""
    found = [sampler(outputs, row, mask) for row in uniforms]
    for sample, action in found:
        assert np.array_equal(sample, action)
    return np.array([sample for sample, _ in found]).astype(np.int64)


def assert_frequencies(samples: NDArray[np.int64], probabilities: Floats, dtype: torch.dtype) -> None:
    """Assert that the samples on GRID have these probabilities. samples: [n]."""
    counts = np.bincount(samples, minlength=len(probabilities))
    assert len(counts) == len(probabilities)
    assert np.abs(counts / len(GRID) - probabilities).max() <= 1 / len(GRID) + ROUNDING[dtype]


def logits(count: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(scale=2.0, size=count)


@DTYPES
class TestCategorical:
    @pytest.mark.parametrize("count", [1, 2, 3, 8])
    def test_frequencies_on_a_grid_equal_the_softmax(self, count: int, dtype: torch.dtype) -> None:
        sampler = Sampler(categorical(count), dtype)
        for seed in range(3):
            samples = samples_of(sampler, logits(count, seed), GRID)[:, 0]
            assert_frequencies(samples, softmax(logits(count, seed)), dtype)
            assert (np.diff(samples) >= 0).all()  # the inverse of a cumulative distribution

    def test_adding_a_constant_to_all_logits_changes_nothing(self, dtype: torch.dtype) -> None:
        sampler = Sampler(categorical(3), dtype)
        for constant in (-1e4, 1e4):
            assert_frequencies(samples_of(sampler, np.full(3, constant), GRID)[:, 0], np.full(3, 1 / 3), dtype)

    def test_a_uniform_number_at_a_boundary_gives_the_next_action(self, dtype: torch.dtype) -> None:
        sampler = Sampler(categorical(4), dtype)
        uniforms = np.array([0.0, 0.25 - 2.0**-54, 0.25, 0.5, 0.75 - 2.0**-53, 0.75, LARGEST])
        assert samples_of(sampler, np.zeros(4), uniforms)[:, 0].tolist() == [0, 0, 1, 2, 2, 3, 3]

    def test_an_action_of_probability_0_is_never_drawn(self, dtype: torch.dtype) -> None:
        sampler = Sampler(categorical(5), dtype)
        for zero in ([0], [4], [0, 4], [2], [0, 1, 2, 3], [1, 2, 3, 4]):
            outputs = logits(5)
            outputs[zero] = -1e9
            samples = samples_of(sampler, outputs, np.array([0.0, *GRID, LARGEST]))[:, 0]
            assert {*samples.tolist()} == {*range(5)} - {*zero}

    def test_the_prior_multiplies_the_exponentials(self, dtype: torch.dtype) -> None:
        prior = np.array([0.1, 0.2, 0.3, 0.4])
        sampler = Sampler(categorical(4, prior.tolist()), dtype)
        assert_frequencies(samples_of(sampler, np.zeros(4), GRID)[:, 0], prior, dtype)
        weights = prior * np.exp(logits(4))
        assert_frequencies(samples_of(sampler, logits(4), GRID)[:, 0], weights / weights.sum(), dtype)
        assert sampler(np.zeros(4), greedy=True)[1].tolist() == [3.0]

    @pytest.mark.parametrize(
        ("outputs", "mode"), [([0, 2, 1], 1), ([3, 3, 3], 0), ([0, 1, 1], 1), ([-5, -7, -6], 0), ([-1e9, -2e9, 0], 2)]
    )
    def test_greedy_is_the_first_of_the_largest(self, outputs: list[float], mode: int, dtype: torch.dtype) -> None:
        for found in Sampler(categorical(3), dtype)(outputs, greedy=True):
            assert found.tolist() == [mode]

    @pytest.mark.parametrize(
        "mask", [[1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    )
    def test_masked_probabilities_are_renormalised(self, mask: list[int], dtype: torch.dtype) -> None:
        sampler, allowed = Sampler(categorical(4), dtype), np.array(mask, dtype=bool)
        for seed in range(3):
            outputs = logits(4, seed)
            weights = np.where(allowed, np.exp(outputs), 0.0)
            samples = samples_of(sampler, outputs, GRID, mask)[:, 0]
            assert allowed[samples].all()
            assert_frequencies(samples, weights / weights.sum(), dtype)
            assert allowed[samples_of(sampler, outputs, np.array([0.0, LARGEST]), mask)[:, 0]].all()
            assert sampler(outputs, mask=mask, greedy=True)[1].tolist() == [np.argmax(np.where(allowed, outputs, -99))]

    def test_a_mask_keeps_an_improbable_action_probable(self, dtype: torch.dtype) -> None:
        """Of the allowed actions, both have a probability that rounds to 0 before renormalisation."""
        sampler = Sampler(categorical(3), dtype)
        samples = samples_of(sampler, [0.0, -2000.0, -2000.0], GRID, [0, 1, 1])[:, 0]
        assert_frequencies(samples, np.array([0.0, 0.5, 0.5]), dtype)

    def test_a_mask_of_nothing_gives_no_action(self, dtype: torch.dtype) -> None:
        sampler = Sampler(categorical(3), dtype)
        for greedy in (False, True):
            assert sampler(logits(3), [0.5], [0, 0, 0], greedy)[1].tolist() == [-1.0]

    def test_the_value_of_a_shared_network_is_not_an_action(self, dtype: torch.dtype) -> None:
        """The last output is a baseline's; the mask counts the actions."""
        sampler = Sampler(categorical(2), dtype)
        assert sampler([0.0, 1.0, 99.0], [LARGEST], [1, 1])[1].tolist() == [1.0]
        assert sampler([0.0, 1.0, 99.0], None, [1, 1], greedy=True)[1].tolist() == [1.0]


@DTYPES
class TestMultiCategorical:
    def test_components_have_their_own_uniform_numbers(self, dtype: torch.dtype) -> None:
        sampler, outputs = Sampler(multi_categorical(2, 4, 3), dtype), logits(9)
        for component, part in enumerate(np.split(outputs, [2, 6])):
            uniforms = np.full((len(GRID), 3), 0.5)
            uniforms[:, component] = GRID
            samples = samples_of(sampler, outputs, uniforms)
            assert_frequencies(samples[:, component], softmax(part), dtype)
            others = np.delete(samples, component, axis=1)
            assert (others == others[0]).all()

    def test_greedy_is_the_first_of_the_largest_of_each_component(self, dtype: torch.dtype) -> None:
        sampler = Sampler(multi_categorical(2, 3), dtype)
        for found in sampler([1, 1, 0, 5, 5], greedy=True):
            assert found.tolist() == [0, 1]

    def test_masks_forbid_choices_of_each_component(self, dtype: torch.dtype) -> None:
        sampler, outputs, mask = Sampler(multi_categorical(2, 3), dtype), logits(5), [0, 1, 1, 0, 1]
        samples = samples_of(sampler, outputs, np.stack([GRID, GRID], -1), mask)
        assert (samples[:, 0] == 1).all()
        weights = np.exp(outputs[2:]) * [1, 0, 1]
        assert_frequencies(samples[:, 1], weights / weights.sum(), dtype)
        assert sampler([0, -9, -2, 7, -1], mask=mask, greedy=True)[1].tolist() == [1, 2]


@DTYPES
class TestBernoulli:
    def test_frequencies_on_a_grid_equal_the_sigmoids(self, dtype: torch.dtype) -> None:
        sampler, outputs = Sampler(bernoulli(3), dtype), np.array([-3.0, 0.0, 1.5])
        samples = samples_of(sampler, outputs, np.stack([GRID] * 3, -1))
        for component, p in enumerate(expit(outputs)):
            assert_frequencies(samples[:, component], np.array([1 - p, p]), dtype)

    def test_each_component_has_its_own_uniform_number(self, dtype: torch.dtype) -> None:
        sampler, outputs = Sampler(bernoulli(3), dtype), np.log([0.25 / 0.75, 1.0, 0.75 / 0.25])
        uniforms = np.array([[0.24, 0.49, 0.74], [0.26, 0.51, 0.76], [0.0, LARGEST, 0.5]])
        assert samples_of(sampler, outputs, uniforms).tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 1]]

    def test_certain_components(self, dtype: torch.dtype) -> None:
        sampler = Sampler(bernoulli(2), dtype)
        for uniform in (0.0, LARGEST):
            assert sampler([-1e9, 200.0], [uniform, uniform])[0].tolist() == [0, 1]

    def test_greedy_is_1_if_it_is_more_probable_than_0(self, dtype: torch.dtype) -> None:
        for found in Sampler(bernoulli(3), dtype)([-0.1, 0.0, 0.1], greedy=True):
            assert found.tolist() == [0, 0, 1]

    def test_a_forbidden_component_is_0(self, dtype: torch.dtype) -> None:
        sampler = Sampler(bernoulli(3), dtype)
        assert sampler([9.0, 9.0, 9.0], [0.1, 0.1, 0.1], [1, 0, 1])[1].tolist() == [1, 0, 1]
        assert sampler([9.0, 9.0, 9.0], None, [0, 1, 1], greedy=True)[1].tolist() == [0, 1, 1]


MEANS = np.array([0.5, -1.0])
LOG_STDS = np.array([-0.7, 0.9])
OWN = {"head.log_std": torch.from_numpy(LOG_STDS)}


def expected_samples(uniforms: Floats, means: Floats = MEANS, log_stds: Floats = LOG_STDS) -> Floats:
    """Return SciPy's quantiles, at the middle of the uniform numbers' cells of width 2^-53."""
    return norm.ppf(uniforms + 2.0**-54, means, np.exp(log_stds))


def assert_samples(found: Floats, expected: Floats, dtype: torch.dtype) -> None:
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def gaussian_draws(sampler: Sampler, outputs: Any, uniforms: Floats) -> tuple[Floats, Floats]:
    """Return samples and actions for each row of uniform numbers, [n, D] each."""
    found = [sampler(outputs, row) for row in uniforms]
    return np.array([sample for sample, _ in found]), np.array([action for _, action in found])


UNIFORMS = np.stack([GRID, GRID[::-1]], -1)


@DTYPES
class TestGaussian:
    def test_samples_are_scipys_quantiles(self, dtype: torch.dtype) -> None:
        sampler = Sampler(gaussian(), dtype, OWN)
        samples, _ = gaussian_draws(sampler, MEANS, UNIFORMS)
        assert_samples(samples, expected_samples(UNIFORMS), dtype)

    def test_extreme_uniform_numbers_give_finite_samples(self, dtype: torch.dtype) -> None:
        sampler = Sampler(gaussian(), dtype)
        (low, high), _ = sampler([0.0, 0.0], [0.0, LARGEST])
        assert low == pytest.approx(norm.ppf(2.0**-54), rel=1e-6)
        assert high == -low

    def test_sigma_of_the_network_multiplies_the_initial_one(self, dtype: torch.dtype) -> None:
        sampler = Sampler(gaussian(std="network", initial_std=0.5), dtype)
        samples, _ = gaussian_draws(sampler, [*MEANS, *LOG_STDS], UNIFORMS)
        assert_samples(samples, expected_samples(UNIFORMS, MEANS, LOG_STDS + np.log(0.5)), dtype)

    @pytest.mark.parametrize("std", ["parameter", "network"])
    def test_sigma_is_clamped(self, std: str, dtype: torch.dtype) -> None:
        raw = [-20.0, 20.0]
        sampler = Sampler(
            gaussian(std=std, min_std=0.25, max_std=4.0),
            dtype,
            {"head.log_std": torch.tensor(raw)} if std == "parameter" else {},
        )
        samples, _ = gaussian_draws(sampler, MEANS if std == "parameter" else [*MEANS, *raw], UNIFORMS)
        assert_samples(samples, expected_samples(UNIFORMS, MEANS, np.log([0.25, 4.0])), dtype)

    @pytest.mark.parametrize("make", [gaussian, squashed])
    def test_greedy_is_the_mean(self, make: Any, dtype: torch.dtype) -> None:
        sampler = Sampler(make(), dtype, OWN)
        sample, action = sampler([0.5, -1.0], greedy=True)
        assert sample.tolist() == [0.5, -1.0]
        middle = [0.5, 0.0] if make is gaussian else [2 * np.tanh(0.5), 5 - 5 * np.tanh(1.0)]
        assert action.tolist() == pytest.approx(middle, rel=1e-14)

    @pytest.mark.parametrize("bounds", ["clip", "tanh", "rescale", "none"])
    def test_actions_are_the_samples_mapped_into_the_bounds(self, bounds: str, dtype: torch.dtype) -> None:
        sampler = Sampler(gaussian(bounds=bounds), dtype, OWN)
        samples, actions = gaussian_draws(sampler, MEANS, UNIFORMS)
        assert_samples(samples, expected_samples(UNIFORMS), dtype)
        low, high = np.array(BOX.low), np.array(BOX.high)
        unit = np.tanh(samples) if bounds == "tanh" else samples
        stretched = (low + high) / 2 + (high - low) / 2 * unit
        expected = {
            "clip": np.clip(samples, low, high),
            "tanh": stretched,
            "rescale": np.clip(stretched, low, high),
            "none": samples,
        }[bounds]
        np.testing.assert_allclose(actions, expected, rtol=1e-13, atol=1e-13)
        if bounds != "none":
            assert (actions >= low).all()
            assert (actions <= high).all()
        if bounds in ("clip", "rescale"):
            assert (actions == low).any()
            assert (actions == high).any()

    def test_an_infinite_bound_clips_nothing(self, dtype: torch.dtype) -> None:
        space = ActionSpace("box", 3, low=(-INFINITE, 0.0, -INFINITE), high=(1.0, INFINITE, INFINITE))
        sampler = Sampler(AutomaticHead(space), dtype)
        assert sampler([-1e6, 1e6, 1e6], greedy=True)[1].tolist() == [-1e6, 1e6, 1e6]
        assert sampler([2.0, -1.0, -1e6], greedy=True)[1].tolist() == [1.0, 0.0, -1e6]

    def test_the_squashed_head_acts_as_the_gaussian_with_tanh(self, dtype: torch.dtype) -> None:
        plain, other = Sampler(gaussian(bounds="tanh"), dtype, OWN), Sampler(squashed(), dtype, OWN)
        for found, expected in zip(
            gaussian_draws(other, MEANS, UNIFORMS), gaussian_draws(plain, MEANS, UNIFORMS), strict=True
        ):
            assert np.array_equal(found, expected)

    def test_rounding_stays_within_the_bounds(self, dtype: torch.dtype) -> None:
        limits = np.array([(0.1, 0.3), (-0.4000000059604645, 0.4000000059604645), (-7.3, 1e-9), (1e-3, 25.0)])
        low, high = limits.T
        space = ActionSpace("box", 4, low=tuple(low.tolist()), high=tuple(high.tolist()))
        for bounds in ("clip", "tanh", "rescale"):
            sampler = Sampler(gaussian(space, bounds=bounds), dtype)
            for u in np.linspace(-30, 30, 301):
                action = sampler(np.full(4, u), greedy=True)[1]
                assert (action >= low).all()
                assert (action <= high).all()
            assert sampler(np.full(4, -30.0), greedy=True)[1].tolist() == low.tolist()
            assert sampler(np.full(4, 30.0), greedy=True)[1].tolist() == high.tolist()


HEADS: dict[str, Head] = {
    "categorical": categorical(6),
    "one action": categorical(1),
    "prior": categorical(4, [0.1, 0.2, 0.3, 0.4]),
    "multi_categorical": multi_categorical(2, 4, 3),
    "bernoulli": bernoulli(3),
    "clip": gaussian(),
    "tanh": gaussian(bounds="tanh", std="network"),
    "rescale": gaussian(bounds="rescale", initial_std=0.5),
    "none": gaussian(bounds="none", std="network", min_std=0.5, max_std=1.5),
    "squashed": squashed(std="network"),
}


def boundaries(head: Head, outputs: Floats) -> list[Floats]:
    """Return the cumulative probabilities of each component at which the sample changes."""
    if isinstance(head, BernoulliHead):
        return [np.array([p]) for p in expit(outputs)]
    if isinstance(head, MultiCategoricalHead):
        return [softmax(part).cumsum() for part in np.split(outputs, [2, 6])]
    if isinstance(head, CategoricalHead):
        return [softmax(outputs).cumsum()]
    return []


@DTYPES
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_samples_and_actions_equal_torch(head: Head, dtype: torch.dtype) -> None:
    """Countable samples may differ from torch's if a uniform number is within rounding of a boundary only."""
    source, rows = np.random.default_rng(0), 500
    outputs = torch.from_numpy(source.normal(scale=1.5, size=(rows, head.inputs))).to(dtype)
    uniforms = source.random((rows, head.distribution.draws))
    sampler = Sampler(head, dtype)
    of_head = head({name: tensor + 0.0 for name, tensor in sampler.own.items()}, outputs)
    expected = head.distribution.sample(of_head, torch.from_numpy(uniforms))
    actions, modes = head.act(expected), head.act(head.distribution.mode(of_head))
    differing = 0
    for row in range(rows):
        sample, action = sampler(outputs[row].numpy(), uniforms[row])
        _, mode = sampler(outputs[row].numpy(), greedy=True)
        np.testing.assert_allclose(mode, modes[row].double().numpy().reshape(-1), rtol=1e-14, atol=1e-14)
        own = expected[row].double().numpy().reshape(-1)
        ends = boundaries(head, of_head[row].double().numpy())
        if not ends:
            assert_samples(sample, own, dtype)
            scale = 10 if dtype == torch.float32 else 1
            np.testing.assert_allclose(action, actions[row].numpy(), rtol=scale * 1e-6, atol=scale * 1e-6)
            continue
        for component in np.flatnonzero(sample != own):
            differing += 1
            assert np.abs(ends[component] - uniforms[row, component]).min() < ROUNDING[dtype]
    assert differing <= 2


@DTYPES
@pytest.mark.parametrize("name", ["categorical", "prior", "multi_categorical", "bernoulli"])
def test_masked_samples_equal_the_policy_in_torch(name: str, dtype: torch.dtype) -> None:
    head, source, rows = HEADS[name], np.random.default_rng(1), 300
    network = Linear(head.inputs, head.inputs, False, "zeros", 1.0)
    policy = Policy(ObservationNormalizer(dtype, None, None), network, head)
    parameters = {"0.weight": torch.eye(head.inputs, dtype=dtype)}
    outputs = torch.from_numpy(source.normal(scale=1.5, size=(rows, head.inputs))).to(dtype)
    masks = source.random((rows, head.inputs)) < 0.6
    counts = head.distribution.counts if isinstance(head, MultiCategoricalHead) else (head.inputs,)
    for begin, count in zip(np.cumsum(counts) - counts, counts, strict=True):
        masks[:, begin] |= ~masks[:, begin : begin + count].any(1)  # each component has a choice
    uniforms = source.random((rows, head.distribution.draws))
    memory = torch.zeros(rows, 0, dtype=dtype)
    arguments = (parameters, outputs, memory), torch.from_numpy(masks)
    drawn = policy.act(*arguments[0], torch.from_numpy(uniforms), arguments[1]).actions
    greedy = policy.act(*arguments[0], None, arguments[1]).actions
    sampler, differing = Sampler(head, dtype), 0
    for row in range(rows):
        found = sampler(outputs[row].numpy(), uniforms[row], masks[row])[1]
        mode = sampler(outputs[row].numpy(), None, masks[row], greedy=True)[1]
        assert mode.tolist() == greedy[row].reshape(-1).tolist()
        differing += found.tolist() != drawn[row].reshape(-1).tolist()
    assert differing <= 1
