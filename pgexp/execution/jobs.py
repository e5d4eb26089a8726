"""Jobs of a command, tasks that workers train, and readable names of configurations."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgexp.runs.secrets import masked
from pgexp.schema.config import RunConfig
from pgexp.schema.identity import identity_fields

Value = str | int | float | bool

_GROUPS = ("env", "network", "head", "optimizer", "schedule", "baseline", "algorithm")


@dataclass(frozen=True)
class Job:
    """A run to train: its config and its folder."""

    config: RunConfig
    folder: Path


@dataclass(frozen=True)
class Task:
    """A run, or a few short runs, that one worker trains one after the other, each from its last checkpoint.

    A task can be pickled; loading it imports neither torch nor MLflow. Its configs contain the secrets that are masked
    in the run folders, so it must not stay on disk.
    """

    token: str  # of the command, see `lease`
    number: int  # counted from 1 within the command
    folder: Path  # of the sweep; all workers see it under the same path
    jobs: tuple[Job, ...]
    path: tuple[str, ...]  # import path of the command, on which a user's own modules are found


def config_params(config: RunConfig) -> dict[str, Value]:
    """Return a config as flat names and values: the options' names, then all settings. Secrets are masked."""
    fields = masked(identity_fields(config))
    fields["algorithm"] |= {"batch": fields.pop("batch")}
    return {group: config.choices[group] for group in _GROUPS if group in config.choices} | _flatten(fields)


def _flatten(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    flat: dict[str, Value] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        elif name != "_target_" and value is not None:
            flat[prefix + name] = str(value) if isinstance(value, list) else value
    return flat


def configuration_names(configs: Sequence[RunConfig]) -> list[str]:
    """Return a readable name per config, without its seed: the values that differ, such as ``baseline=value lr=0.01``.

    The keys of an option are part of a name only if they differ among the configs with that option.
    """
    return names_from_params([config_params(config) for config in configs])


def names_from_params(params: Sequence[Mapping[str, Value]]) -> list[str]:
    """Return the names of `configuration_names` from the results of `config_params`."""
    keys = dict.fromkeys(key for run in params for key in run)
    shown = [key for key in keys if key != "seed" and _differs(key, params)]
    endings = [key.rpartition(".")[2] for key in shown]
    short = {key: ending if endings.count(ending) == 1 else key for key, ending in zip(shown, endings, strict=True)}
    names = [" ".join(f"{short[key]}={run[key]}" for key in shown if key in run) for run in params]
    return [name or f"{run['env.id']} {run['baseline']}" for name, run in zip(names, params, strict=True)]


def _differs(key: str, params: Sequence[Mapping[str, Value]]) -> bool:
    """Return whether a key's value differs among the configs that share the option to which the key belongs."""
    group = key.partition(".")[0]
    values: dict[Any, set[Any]] = defaultdict(set)
    for run in params:
        values[run.get(group) if key != group else None].add(run.get(key))
    return any(len(found) > 1 for found in values.values())
