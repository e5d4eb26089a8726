"""Trees captured from values and restored bit for bit."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from pgexp.functional.normalization import Moments
from pgexp.functional.trees import from_tree, to_tree
from tests.conftest import CONF
from tests.trees import assert_same_tree

OPTIMIZERS = sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))
DTYPES = [torch.float32, torch.float64]


@dataclass
class Pair:
    """A dataclass with fields of several types."""

    number: float
    moments: Moments
    none: Tensor | None = None


def optimizer_of(name: str, parameters: list[Tensor], **changed: Any) -> torch.optim.Optimizer:
    """Return an optimizer as configured in its YAML file."""
    settings = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(CONF / "optimizer" / f"{name}.yaml")))
    kind = getattr(torch.optim, settings.pop("_target_").rpartition(".")[2])
    optimizer: torch.optim.Optimizer = kind(parameters, **{**settings, **changed})
    return optimizer


def parameters_of(dtype: torch.dtype) -> list[Tensor]:
    """Return parameters of ranks 1 to 3, equal at each call."""
    draws = torch.Generator().manual_seed(1)
    shapes = [(1, 3), (1, 3, 2), (1,)]
    return [torch.randn(shape, generator=draws, dtype=dtype).requires_grad_() for shape in shapes]


def step(optimizer: torch.optim.Optimizer, parameters: list[Tensor], seeds: range) -> None:
    """Take a step per seed, along gradients drawn from the seed."""
    for seed in seeds:
        draws = torch.Generator().manual_seed(seed)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=draws, dtype=parameter.dtype)
        optimizer.step()


class TestCaptured:
    @pytest.mark.parametrize(
        "value",
        [
            None,
            True,
            -7,
            2**80,
            0.1,
            -0.0,
            float("nan"),
            float("-inf"),
            "text",
            np.array(3, dtype=np.uint8),
            np.zeros((0, 2), dtype=np.float16),
            np.array([True, False]),
            torch.tensor(2.5, dtype=torch.float64),
            torch.arange(6).reshape(2, 3),
            [1, [2.0, "three"], ()],
            (1, (2, [3])),
            {"a": {1: None}, 2: [{}]},
        ],
        ids=repr,
    )
    def test_a_tree_captured_again_is_equal(self, value: Any) -> None:
        assert_same_tree(to_tree(value), value)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (np.float32(0.5), 0.5),
            (np.int64(3), 3),
            (np.bool_(True), True),
            (OrderedDict(a=1), {"a": 1}),
            (MappingProxyType({"a": (1,)}), {"a": (1,)}),
        ],
    )
    def test_numpy_scalars_and_mappings_become_plain_values(self, value: Any, expected: Any) -> None:
        assert_same_tree(to_tree(value), expected)

    def test_dataclasses_become_dicts(self) -> None:
        tree = to_tree(Pair(1.5, Moments(3, np.array([2.0]), np.array([0.5]))))
        moments = {"count": 3, "mean": np.array([2.0]), "variance": np.array([0.5])}
        assert_same_tree(tree, {"number": 1.5, "moments": moments, "none": None})

    def test_a_tree_shares_no_memory_with_its_value(self) -> None:
        array, tensor = np.zeros(2), torch.zeros(2, requires_grad=True)
        tree = to_tree({"array": [array], "tensor": (tensor,)})
        array += 1
        with torch.no_grad():
            tensor += 1
        assert_same_tree(tree, {"array": [np.zeros(2)], "tensor": (torch.zeros(2),)})
        assert not tree["tensor"][0].requires_grad

    @pytest.mark.parametrize(
        "value",
        [
            {1, 2},
            b"bytes",
            1j,
            np.array([1j]),
            np.array(["text"]),
            np.array([None]),
            np.random.default_rng(0),
            torch.nn.Linear(1, 1),
            Pair,
            len,
            partial(len),
            {(1, 2): 3},
            {None: 3},
            {0.5: 3},
        ],
        ids=lambda value: f"{type(value).__name__}",
    )
    def test_unsupported_values_are_refused_at_any_depth(self, value: Any) -> None:
        for nested in (value, [value], {"a": (value,)}):
            with pytest.raises(TypeError, match="must consist of numbers"):
                to_tree(nested)


class TestRestored:
    def test_a_tensor_is_restored_in_place(self) -> None:
        stacked = torch.arange(6.0).reshape(3, 2)
        view = stacked[1:2]
        tree = to_tree(view)
        stacked.zero_()
        assert from_tree(view, tree) is view
        assert stacked.tolist() == [[0, 0], [2, 3], [0, 0]]

    def test_tensors_of_a_dict_are_restored_in_place(self) -> None:
        own = {"weight": torch.ones(2, requires_grad=True)}
        result = from_tree(own, {"weight": torch.tensor([3.0, 4.0])})
        assert result["weight"] is own["weight"]
        assert own["weight"].tolist() == [3, 4]
        assert own["weight"].requires_grad
        assert own["weight"].is_leaf

    def test_a_dataclass_is_rebuilt(self) -> None:
        own = Pair(1.5, Moments.empty(2).merged(np.array([[1.0, 2.0], [3.0, 6.0]])), torch.ones(1))
        made = from_tree(Pair(0.0, Moments.empty(2), None), to_tree(own))
        assert isinstance(made.moments, Moments)
        assert_same_tree(to_tree(made), to_tree(own))

    @pytest.mark.parametrize("value", [0.0, 7, "text", None, np.zeros(3), [], {}, {"a": 1}, ()], ids=repr)
    def test_other_values_become_a_copy_of_the_tree(self, value: Any) -> None:
        tree = {"a": [1, np.arange(3)]}
        result = from_tree(value, tree)
        assert_same_tree(result, tree)
        assert result["a"][1] is not tree["a"][1]

    @pytest.mark.parametrize(
        ("value", "tree", "message"),
        [
            (torch.zeros(2), torch.zeros(3), "must be a tensor [2]"),
            (torch.zeros(2), torch.zeros(1, 2), "[1, 2]"),
            (torch.zeros(2), torch.zeros(2, dtype=torch.float64), "float64"),
            (torch.zeros(2), np.zeros(2), "got ndarray"),
            (torch.zeros(2), None, "NoneType"),
            ({"a": torch.zeros(1)}, {"b": torch.zeros(1)}, "must have keys a (got keys b)"),
            ({"a": torch.zeros(1)}, {"a": torch.zeros(1), "b": torch.zeros(1)}, "got keys a, b"),
            ({"a": torch.zeros(1)}, {"a": torch.zeros(2)}, "[2]"),
            ({"a": torch.zeros(1)}, [], "got list"),
            (Moments.empty(1), {"count": 0}, "must have keys count, mean"),
        ],
    )
    def test_the_tree_of_another_value_is_refused(self, value: Any, tree: Any, message: str) -> None:
        before = to_tree(value)
        with pytest.raises(ValueError, match="must ") as refusal:
            from_tree(value, tree)
        assert message in str(refusal.value)
        assert_same_tree(to_tree(value), before)


class TestOptimizers:
    @pytest.mark.parametrize("dtype", DTYPES, ids=str)
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_a_restored_optimizer_continues_bit_for_bit(self, name: str, dtype: torch.dtype) -> None:
        own = parameters_of(dtype)
        optimizer = optimizer_of(name, own)
        step(optimizer, own, range(3))
        optimizer.param_groups[0]["lr"] *= 0.7  # as a schedule does
        tree, values = to_tree(optimizer), [parameter.detach().clone() for parameter in own]
        step(optimizer, own, range(3, 6))
        other = [value.clone().requires_grad_() for value in values]
        fresh = optimizer_of(name, other)
        assert from_tree(fresh, tree) is fresh
        assert_same_tree(to_tree(fresh), tree)
        step(fresh, other, range(3, 6))
        assert_same_tree(to_tree(other), to_tree(own))
        assert_same_tree(to_tree(fresh), to_tree(optimizer))

    def test_states_keep_their_own_dtype(self) -> None:
        own = parameters_of(torch.float64)
        optimizer = optimizer_of("asgd", own)
        step(optimizer, own, range(2))
        assert optimizer.state[own[0]]["eta"].dtype == torch.float32  # which load_state_dict makes float64
        fresh = optimizer_of("asgd", parameters_of(torch.float64))
        from_tree(fresh, to_tree(optimizer))
        assert {state["eta"].dtype for state in fresh.state.values()} == {torch.float32}

    def test_a_state_shares_no_memory_with_the_tree(self) -> None:
        own = parameters_of(torch.float32)
        optimizer = optimizer_of("adam", own)
        step(optimizer, own, range(1))
        tree = to_tree(optimizer)
        before = to_tree(tree)
        step(optimizer, own, range(1, 2))
        from_tree(optimizer, tree)
        step(optimizer, own, range(1, 2))
        assert_same_tree(tree, before)

    @pytest.mark.parametrize(
        "other",
        [
            lambda: optimizer_of("adam", parameters_of(torch.float32)[:2]),
            lambda: optimizer_of("sgd", parameters_of(torch.float32)),
            lambda: {"state": []},
            lambda: None,
        ],
    )
    def test_the_state_of_another_optimizer_is_refused(self, other: Callable[[], Any]) -> None:
        with pytest.raises(ValueError, match="must "):
            from_tree(optimizer_of("adam", parameters_of(torch.float32)), to_tree(other()))
