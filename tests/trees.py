"""Bitwise equality of trees, for tests of states and checkpoints."""

import math
from typing import Any

import numpy as np
import torch


def assert_same_tree(found: Any, expected: Any) -> None:
    """Assert equal types, keys and their order, dtypes, shapes and values. NaN equals NaN; 0 differs from -0."""
    assert type(found) is type(expected), (found, expected)
    match expected:
        case torch.Tensor():
            assert found.dtype == expected.dtype
            assert_same_tree(found.numpy(), expected.numpy())
        case np.ndarray():
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            assert found.tobytes() == expected.tobytes()
        case dict():
            assert list(found) == list(expected)
            for key, item in expected.items():
                assert_same_tree(found[key], item)
        case list() | tuple():
            assert len(found) == len(expected)
            for pair in zip(found, expected, strict=True):
                assert_same_tree(*pair)
        case float():
            if not (math.isnan(found) and math.isnan(expected)):
                assert (found, math.copysign(1, found)) == (expected, math.copysign(1, expected))
        case _:
            assert found == expected
