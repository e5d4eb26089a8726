"""Jobs of a command, and readable names of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgexp.schema.config import RunConfig
from pgexp.schema.identity import deciding
from pgexp.storage.secrets import masked

Value = str | int | float | bool

GROUPS = ("env", "network", "head", "optimizer", "schedule", "baseline", "algorithm")


@dataclass(frozen=True)
class Job:
    """One run to train: its config and its own folder."""

    config: RunConfig
    folder: Path


def parameters(config: RunConfig) -> dict[str, Value]:
    """Return a run's config as flat names and values, for people: the options by name, then what they are set to.

    Secrets are masked.
    """
    fields = masked(deciding(config))
    fields["algorithm"] |= {"batch": fields.pop("batch")}
    named = {group: config.choices[group] for group in GROUPS if group in config.choices}
    return named | _flat(fields)


def _flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        elif name != "_target_" and value is not None:
            found[prefix + name] = str(value) if isinstance(value, list) else value
    return found


def configuration_names(configs: Sequence[RunConfig]) -> list[str]:
    """Return a readable name for each config without its seed: what differs among them, ``baseline=value lr=0.01``.

    Where an option differs, its own keys are named only where they differ among configs of that option.
    """
    return names_of([parameters(config) for config in configs])


def names_of(flat: Sequence[Mapping[str, Value]]) -> list[str]:
    """Return the names of configurations, as `configuration_names` does, by what `parameters` returned of each."""
    shown = [name for name in _ordered(flat) if name != "seed" and _tells(name, flat)]
    short = {name: _shortest(name, shown) for name in shown}
    titles = [" ".join(f"{short[name]}={run[name]}" for name in shown if name in run) for run in flat]
    return [title or f"{run['env.id']} {run['baseline']}" for title, run in zip(titles, flat, strict=True)]


def _ordered(flat: Sequence[Mapping[str, Value]]) -> list[str]:
    return list(dict.fromkeys(name for run in flat for name in run))


def _tells(name: str, flat: Sequence[Mapping[str, Value]]) -> bool:
    """Return whether a name's value differs among the configs that share the option it belongs to."""
    group = name.partition(".")[0]
    values: dict[Any, set[Any]] = defaultdict(set)
    for run in flat:
        option = run.get(group) if name != group else None
        values[option].add(run.get(name))
    return any(len(found) > 1 for found in values.values())


def _shortest(name: str, shown: Sequence[str]) -> str:
    last = name.rpartition(".")[2]
    return last if sum(other.rpartition(".")[2] == last for other in shown) == 1 else name
