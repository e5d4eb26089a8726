"""Description of action spaces."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal, Self


@dataclass(frozen=True)
class ActionSpace:
    """The actions that an environment accepts.

    discrete: one of counts[0] actions. multi_discrete: D components, component d one of counts[d]. multi_binary: D
    components, each 0 or 1. box: D real components within low and high, which may be infinite. Actions are counted from
    0; the environment's own numbering and shapes are converted in envs.
    """

    kind: Literal["discrete", "multi_discrete", "multi_binary", "box"]
    size: int  # D; 1 for discrete
    counts: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @property
    def choices(self) -> int:
        """The size of a mask of allowed actions: one per choice, or one per component for multi_binary."""
        return self.size if self.kind == "multi_binary" else sum(self.counts)

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Return the space of a description. Raises KeyError, TypeError or ValueError if the description is invalid."""
        low = tuple(-inf if bound is None else float(bound) for bound in description["low"])
        high = tuple(inf if bound is None else float(bound) for bound in description["high"])
        counts = tuple(map(int, description["counts"]))
        space = cls(description["kind"], int(description["size"]), counts, low, high)
        components, bounds = {
            "discrete": (1, 0),
            "multi_discrete": (space.size, 0),
            "multi_binary": (0, 0),
            "box": (0, space.size),
        }[space.kind]
        if (len(counts), len(low), len(high)) != (components, bounds, bounds):
            raise ValueError(f"the numbers do not match the kind: {description}")
        return space

    def description(self) -> dict[str, Any]:
        """Return the space as plain JSON, with null for an infinite bound."""
        low, high = ([bound if isfinite(bound) else None for bound in bounds] for bounds in (self.low, self.high))
        return {"kind": self.kind, "size": self.size, "counts": list(self.counts), "low": low, "high": high}
