"""The spaces that a policy acts in, told in plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal, Self


@dataclass(frozen=True)
class ActionSpace:
    """What an environment takes for an action.

    discrete: one of counts[0] actions. multi_discrete: D components, component d one of counts[d]. multi_binary: D
    components, each 0 or 1. box: D real components within low and high, which may be infinite. Counted from 0; how the
    environment itself numbers and shapes them is the environment's.
    """

    kind: Literal["discrete", "multi_discrete", "multi_binary", "box"]
    size: int  # D; 1 for discrete
    counts: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """Return the space that `described` told. Raises KeyError, TypeError or ValueError where it is none."""
        low = tuple(-inf if bound is None else float(bound) for bound in described["low"])
        high = tuple(inf if bound is None else float(bound) for bound in described["high"])
        counts = tuple(map(int, described["counts"]))
        space = cls(described["kind"], int(described["size"]), counts, low, high)
        components, bounds = {
            "discrete": (1, 0),
            "multi_discrete": (space.size, 0),
            "multi_binary": (0, 0),
            "box": (0, space.size),
        }[space.kind]
        if (len(counts), len(low), len(high)) != (components, bounds, bounds):
            raise ValueError(f"its numbers do not fit: {described}")
        return space

    def described(self) -> dict[str, Any]:
        """Return it as plain JSON: where there is no bound stands null."""
        low, high = ([bound if isfinite(bound) else None for bound in bounds] for bounds in (self.low, self.high))
        return {"kind": self.kind, "size": self.size, "counts": list(self.counts), "low": low, "high": high}
