"""Heads: what they refuse, and what they make of a network's outputs."""

import inspect
import math
from importlib import import_module
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from pgexp.functional.distributions.beta import Beta
from pgexp.functional.distributions.categorical import Categorical
from pgexp.functional.distributions.gaussian import Gaussian
from pgexp.functional.distributions.multi_categorical import MultiCategorical
from pgexp.functional.distributions.squashed_gaussian import SquashedGaussian
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.heads import automatic
from pgexp.networks.heads.automatic import AutomaticHead
from pgexp.networks.heads.beta import BetaHead
from pgexp.networks.heads.categorical import CategoricalHead
from pgexp.networks.parameters import streams
from tests.heads import FILES, KINDS, ROWS, RUNS, SPACES, outputs, read, shipped, stacked


class TestEveryHead:
    def test_each_has_its_file(self) -> None:
        assert FILES.keys() == KINDS.keys() | {"auto"}

    @pytest.mark.parametrize("name", FILES)
    def test_a_files_keys_are_its_constructors_parameters(self, name: str) -> None:
        module, _, class_name = read(name)["_target_"].rpartition(".")
        taken = inspect.signature(getattr(import_module(module), class_name)).parameters
        assert next(iter(taken)) == "space"
        assert list(taken)[1:] == list(read(name))[1:]

    @pytest.mark.parametrize("std", ["parameter", "network"])
    @pytest.mark.parametrize(("name", "kind"), KINDS.items())
    def test_it_makes_an_actions_parameters_of_what_it_reads(self, name: str, kind: str, std: str) -> None:
        space = SPACES[kind]
        changed = {"std": std} if "std" in read(name) else {}
        head = shipped(name, space, **changed)
        made = head(stacked(head), outputs(head.inputs))
        assert made.shape == (RUNS, ROWS, head.distribution.parameters)
        noise = head.distribution.noise(np.random.default_rng(0), RUNS * ROWS)
        sample = head.distribution.sample(made, torch.from_numpy(noise).reshape(RUNS, ROWS, -1))
        shape = (RUNS, ROWS) if kind == "discrete" else (RUNS, ROWS, space.size)
        assert sample.shape == head.act(sample).shape == head.distribution.mode(made).shape == shape
        assert head.distribution.log_prob(made, sample).shape == (RUNS, ROWS)

    @pytest.mark.parametrize("name", ["categorical", "multi_categorical", "bernoulli"])
    def test_of_countable_spaces_outputs_are_logits_and_samples_are_actions(self, name: str) -> None:
        head = shipped(name, SPACES[KINDS[name]])
        x = outputs(head.inputs)
        assert head.initial(streams(0)) == {}
        assert torch.equal(head({}, x), x)
        sample = head.distribution.mode(x)
        assert torch.equal(head.act(sample), sample)

    @pytest.mark.parametrize("kind", SPACES)
    @pytest.mark.parametrize("name", KINDS)
    def test_it_refuses_a_space_of_another_kind_and_names_the_heads_of_that(self, name: str, kind: str) -> None:
        if KINDS[name] != kind:
            fitting = " or ".join(f"head={other}" for other in KINDS if KINDS[other] == kind)
            expected = f"it acts in {KINDS[name]} spaces, and this one is {kind}: set head=auto or {fitting}"
            with pytest.raises(ValueError, match=f"^{expected}$"):
                shipped(name, SPACES[kind])


class TestAutomatic:
    @pytest.mark.parametrize("name", ["categorical", "multi_categorical", "bernoulli", "gaussian"])
    def test_it_is_the_head_of_its_kind_as_shipped(self, name: str) -> None:
        space = SPACES[KINDS[name]]
        head, expected = AutomaticHead(space), shipped(name, space)
        assert head.distribution == expected.distribution
        assert head.inputs == expected.inputs
        x = outputs(head.inputs)
        made = head(stacked(head), x)
        assert torch.equal(made, expected(stacked(expected), x))
        sample = head.distribution.sample(made, torch.full((RUNS, ROWS, head.distribution.noise_size), 0.9))
        assert torch.equal(head.act(sample), expected.act(sample))

    def test_its_gaussian_is_what_the_file_says(self) -> None:
        assert {"_target_": read("gaussian")["_target_"], **automatic.GAUSSIAN} == read("gaussian")

    def test_distributions_know_the_spaces_size(self) -> None:
        assert CategoricalHead(SPACES["discrete"]).distribution == Categorical(4)
        assert AutomaticHead(SPACES["multi_discrete"]).distribution == MultiCategorical((2, 3))
        assert AutomaticHead(SPACES["box"]).distribution == Gaussian(2)
        assert shipped("squashed_gaussian", SPACES["box"]).distribution == SquashedGaussian(2)
        assert BetaHead(SPACES["box"]).distribution == Beta(2)


class TestCategoricalHead:
    PRIOR: ClassVar = [0.1, 0.2, 0.3, 0.4]

    def test_the_prior_is_the_policy_where_the_outputs_are_0(self) -> None:
        head = shipped("categorical", SPACES["discrete"], prior=self.PRIOR)
        logits = head({}, torch.zeros(RUNS, ROWS, 4, dtype=torch.float64))
        expected = torch.tensor(self.PRIOR, dtype=torch.float64).expand(RUNS, ROWS, 4)
        torch.testing.assert_close(logits.softmax(-1), expected)

    @pytest.mark.parametrize("scale", [1.0, 20.0])
    def test_it_weighs_the_exponentials_of_the_outputs_up_to_a_factor(self, scale: float) -> None:
        x = outputs(4)
        weighed = x.exp() * torch.tensor(self.PRIOR, dtype=torch.float64)
        head = shipped("categorical", SPACES["discrete"], prior=[scale * each for each in self.PRIOR])
        torch.testing.assert_close(head({}, x).softmax(-1), weighed / weighed.sum(-1, keepdim=True))

    def test_it_keeps_the_networks_precision(self) -> None:
        head = shipped("categorical", SPACES["discrete"], prior=self.PRIOR)
        assert head({}, torch.zeros(1, 1, 4)).dtype == torch.float32

    def test_a_prior_of_other_actions_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^prior has 2 numbers, and there are 4 actions$"):
            shipped("categorical", SPACES["discrete"], prior=[0.5, 0.5])


class TestBetaHead:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_parameters_are_one_more_than_the_softplus(self, dtype: torch.dtype) -> None:
        x = torch.linspace(-60, 60, 2_001, dtype=dtype).reshape(1, -1, 1).repeat(1, 1, 4)
        made = BetaHead(SPACES["box"])({}, x)
        torch.testing.assert_close(made, 1 + torch.nn.functional.softplus(x, threshold=50))
        assert made.min() >= 1

    def test_the_smallest_outputs_and_the_largest_are_finite(self) -> None:
        x = torch.tensor([-1e4, 1e4, 0.0, -1e30]).reshape(1, 1, 4).requires_grad_()
        made = BetaHead(SPACES["box"])({}, x)
        assert made.tolist() == [[[1.0, 10_001.0, pytest.approx(1 + math.log(2)), 1.0]]]
        made.sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[[0.0, 1.0, 0.5, 0.0]]]  # at 0 one half: a last layer of zeros can learn

    def test_derivatives_by_finite_differences(self) -> None:
        x = torch.tensor([-5.0, 0.0, 0.5, 39.0]).double().reshape(1, 1, 4).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: BetaHead(SPACES["box"])({}, x), x)
        assert torch.autograd.gradgradcheck(lambda x: BetaHead(SPACES["box"])({}, x), x)


STACKED = (1, 2, 5, 32)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("gaussian", {"bounds": "clip"}),
        ("gaussian", {"bounds": "tanh", "std": "network"}),
        ("gaussian", {"bounds": "rescale"}),
        ("squashed_gaussian", {}),
        ("squashed_gaussian", {"std": "network"}),
        ("beta", {}),
        ("bernoulli", {}),
        ("multi_categorical", {}),
    ],
)
def test_a_runs_actions_do_not_depend_on_how_many_runs_act(
    name: str, changed: dict[str, str], size: int, rows: int, dtype: torch.dtype, shared: bool
) -> None:
    """From the network's outputs, of which a baseline may share the last one, to the environment: to the last bit."""
    space = ActionSpace(KINDS[name], size, (2, 3, 4, 5, 6, 7)[:size], (-1.0,) * size, (3.0,) * size)
    head = shipped(name, space, **changed)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, rows, head.inputs + shared, generator=generator, dtype=dtype)
    log_std = torch.randn(32, size, generator=generator, dtype=dtype)
    noise = torch.from_numpy(head.distribution.noise(np.random.default_rng(0), 32 * rows)).reshape(32, rows, -1)

    def act(runs: slice) -> tuple[Tensor, ...]:
        made = head({"head.log_std": log_std[runs].clone()}, x[runs].clone()[..., : head.inputs])
        sample, mode = head.distribution.sample(made, noise[runs].clone()), head.distribution.mode(made)
        return made, sample, mode, head.act(sample), head.act(mode)

    among = act(slice(0, 32))
    for count in STACKED:
        for first in {0, 3, 32 - count} - ({3} if count == 32 else set()):
            few = act(slice(first, first + count))
            assert all(torch.equal(a, b[first : first + count]) for a, b in zip(few, among, strict=True))
