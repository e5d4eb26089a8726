"""Parametrised tests of which the fast tier runs a part of the cases."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def tiered(cases: Iterable[Any], fast: Callable[[Any], bool]) -> list[Any]:
    """Return the cases as parameters; those for which `fast(case)` is false are marked `slow`.

    A case is the value of one parameter, or a tuple of the values of several.
    """
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=() if fast(case) else pytest.mark.slow)
        for case in cases
    ]
