"""Parametrised tests of which the fast tier runs a part of the cases."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def tiered(cases: Iterable[tuple[Any, ...]], fast: Callable[..., bool]) -> list[Any]:
    """Return the cases as parameters; those for which `fast(*case)` is false are marked `slow`."""
    return [pytest.param(*case, marks=() if fast(*case) else pytest.mark.slow) for case in cases]
