"""Config keys of earlier versions, with their new names."""

from collections.abc import Mapping
from typing import Final

RENAMED: Final[Mapping[str, str | None]] = {
    "algorithm.credit": "algorithm.return_type",
    "algorithm.direction": "algorithm.gradient_transform",
    "algorithm.open_tail": "algorithm.partial_episodes",
    "baseline.fit_steps": "baseline.value_updates",
    "env.slots": "env.num_envs",
    "evaluation.slots": "evaluation.num_envs",
    "sweep.max_runs_per_pack": None,
    "sweep.memory": None,
    "tracking.points": "tracking.max_points",
}
"""Old dotted key -> new one, or None if it was removed."""


def renaming_hint(key: str) -> str:
    """Return `` It was renamed to 'x'.`` or `` It was removed.`` for a key of an earlier version, else ""."""
    if key not in RENAMED:
        return ""
    new = RENAMED[key]
    return " It was removed." if new is None else f" It was renamed to {new!r}."
