"""Heads: parameters of distributions from network outputs, and refused spaces."""

import inspect
import math
from importlib import import_module
from typing import ClassVar

import numpy as np
import pytest
import torch

from pgexp.functional.distributions import Beta, Categorical, Gaussian, MultiCategorical, SquashedGaussian
from pgexp.networks.heads import automatic
from pgexp.networks.heads.automatic import AutomaticHead
from pgexp.networks.heads.box import BetaHead
from pgexp.networks.heads.discrete import CategoricalHead
from pgexp.networks.network import streams
from tests.heads import FILES, KINDS, ROWS, SPACES, outputs, parameters_of, read, shipped


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
    def test_shapes(self, name: str, kind: str, std: str) -> None:
        space = SPACES[kind]
        changed = {"std": std} if "std" in read(name) else {}
        head = shipped(name, space, **changed)
        made = head(parameters_of(head), outputs(head.inputs))
        assert made.shape == (ROWS, head.distribution.num_parameters)
        uniforms = np.random.default_rng(0).random((ROWS, head.distribution.draws))
        sample = head.distribution.sample(made, torch.from_numpy(uniforms))
        shape = (ROWS,) if kind == "discrete" else (ROWS, space.size)
        assert sample.shape == head.act(sample).shape == head.distribution.mode(made).shape == shape
        assert head.distribution.log_prob(made, sample).shape == (ROWS,)

    @pytest.mark.parametrize("name", ["categorical", "multi_categorical", "bernoulli"])
    def test_countable_outputs_are_logits_and_samples_are_actions(self, name: str) -> None:
        head = shipped(name, SPACES[KINDS[name]])
        x = outputs(head.inputs)
        assert head.initial(streams(0)) == {}
        assert torch.equal(head({}, x), x)
        sample = head.distribution.mode(x)
        assert torch.equal(head.act(sample), sample)

    @pytest.mark.parametrize("name", KINDS)
    def test_all_except_beta_are_compiled(self, name: str) -> None:
        assert (shipped(name, SPACES[KINDS[name]]).compiled() is None) == (name == "beta")

    @pytest.mark.parametrize("name", ["gaussian", "squashed_gaussian"])
    @pytest.mark.parametrize("std", ["parameter", "network"])
    def test_compiled_gaussians_read_the_heads_own_parameter(self, name: str, std: str) -> None:
        head = shipped(name, SPACES["box"], std=std)
        compiled = head.compiled()
        assert compiled is not None
        assert [compiled.parameter] == ([*head.initial(streams(0))] or [None])

    @pytest.mark.parametrize("kind", SPACES)
    @pytest.mark.parametrize("name", KINDS)
    def test_a_space_of_another_kind_is_refused(self, name: str, kind: str) -> None:
        if KINDS[name] != kind:
            fitting = " or ".join(f"head={other}" for other in KINDS if KINDS[other] == kind)
            with pytest.raises(ValueError, match=f"got {kind}.*: set head=auto or {fitting}"):
                shipped(name, SPACES[kind])


class TestAutomatic:
    @pytest.mark.parametrize("name", ["categorical", "multi_categorical", "bernoulli", "gaussian"])
    def test_it_equals_the_configured_head_of_its_kind(self, name: str) -> None:
        space = SPACES[KINDS[name]]
        head, expected = AutomaticHead(space), shipped(name, space)
        assert head.distribution == expected.distribution
        assert head.inputs == expected.inputs
        x = outputs(head.inputs)
        made = head(parameters_of(head), x)
        assert torch.equal(made, expected(parameters_of(expected), x))
        sample = head.distribution.sample(made, torch.full((ROWS, head.distribution.draws), 0.9, dtype=torch.float64))
        assert torch.equal(head.act(sample), expected.act(sample))

    def test_its_gaussian_has_the_values_of_the_file(self) -> None:
        assert {"_target_": read("gaussian")["_target_"], **automatic.GAUSSIAN} == read("gaussian")

    def test_distributions_have_the_size_of_the_space(self) -> None:
        assert CategoricalHead(SPACES["discrete"]).distribution == Categorical(4)
        assert AutomaticHead(SPACES["multi_discrete"]).distribution == MultiCategorical((2, 3))
        assert AutomaticHead(SPACES["box"]).distribution == Gaussian(2)
        assert shipped("squashed_gaussian", SPACES["box"]).distribution == SquashedGaussian(2)
        assert BetaHead(SPACES["box"]).distribution == Beta(2)


class TestCategoricalHead:
    PRIOR: ClassVar = [0.1, 0.2, 0.3, 0.4]

    def test_the_prior_is_the_policy_if_the_outputs_are_0(self) -> None:
        head = shipped("categorical", SPACES["discrete"], prior=self.PRIOR)
        logits = head({}, torch.zeros(ROWS, 4, dtype=torch.float64))
        expected = torch.tensor(self.PRIOR, dtype=torch.float64).expand(ROWS, 4)
        torch.testing.assert_close(logits.softmax(-1), expected)

    @pytest.mark.parametrize("scale", [1.0, 20.0])
    def test_it_multiplies_the_exponentials_of_the_outputs(self, scale: float) -> None:
        x = outputs(4)
        weighed = x.exp() * torch.tensor(self.PRIOR, dtype=torch.float64)
        head = shipped("categorical", SPACES["discrete"], prior=[scale * each for each in self.PRIOR])
        torch.testing.assert_close(head({}, x).softmax(-1), weighed / weighed.sum(-1, keepdim=True))

    def test_it_keeps_the_networks_precision(self) -> None:
        head = shipped("categorical", SPACES["discrete"], prior=self.PRIOR)
        assert head({}, torch.zeros(1, 4)).dtype == torch.float32

    def test_a_prior_of_other_actions_is_refused(self) -> None:
        with pytest.raises(ValueError, match="prior must have one number per action"):
            shipped("categorical", SPACES["discrete"], prior=[0.5, 0.5])


class TestBetaHead:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_parameters_are_one_more_than_the_softplus(self, dtype: torch.dtype) -> None:
        x = torch.linspace(-60, 60, 2_001, dtype=dtype).reshape(-1, 1).repeat(1, 4)
        made = BetaHead(SPACES["box"])({}, x)
        torch.testing.assert_close(made, 1 + torch.nn.functional.softplus(x, threshold=50))
        assert made.min() >= 1

    def test_extreme_outputs_have_finite_parameters_and_gradients(self) -> None:
        x = torch.tensor([-1e4, 1e4, 0.0, -1e30]).reshape(1, 4).requires_grad_()
        made = BetaHead(SPACES["box"])({}, x)
        assert made.tolist() == [[1.0, 10_001.0, pytest.approx(1 + math.log(2)), 1.0]]
        made.sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[0.0, 1.0, 0.5, 0.0]]  # 1/2 at 0: a last layer of zeros can learn

    def test_derivatives_by_finite_differences(self) -> None:
        x = torch.tensor([-5.0, 0.0, 0.5, 39.0]).double().reshape(1, 4).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: BetaHead(SPACES["box"])({}, x), x)
        assert torch.autograd.gradgradcheck(lambda x: BetaHead(SPACES["box"])({}, x), x)
