"""Samplers of seeds' scores, and the Markdown tables of the simulations."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from pgexp.statistics.point_estimates import FloatArray

Draw = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw standard normal scores."""
    return generator.normal(size=shape)


def lognormal(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw scores whose logarithm is standard normal: mean exp(1 / 2), interquartile range 1.454."""
    return generator.lognormal(size=shape)


def collapsing(share: float) -> Draw:
    """Return a sampler of standard normal scores, of which a share is collapsed to 20 deviations below."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        return generator.normal(size=shape) - 20.0 * (generator.random(shape) < share)

    return draw


DISTRIBUTIONS: Mapping[str, Draw] = {"normal": normal, "lognormal": lognormal, "5 % collapsed": collapsing(0.05)}


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(map(_cell, row))} |", flush=True)


def _cell(value: object) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if isinstance(value, float) else str(value)
