"""Start of a search: its settings, checks of what it may train, and the training."""

import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from pgexp.cli.command_state import current_state
from pgexp.cli.compose import plan_jobs, run_config
from pgexp.cli.entrypoint import Terminal
from pgexp.cli.sweep import fail, print_estimate
from pgexp.runs.secrets import mask_hydra_files
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import UserError
from pgexp.schema.names import EVALUATION, FINAL
from pgexp.schema.sweep import SWEEP_KEYS, Settings, parse_settings

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from pgexp.cli.search.loop import Search
    from pgexp.cli.search.space import Space, Value
    from pgexp.execution.results import SweepResult

_WIDTH = 1000  # columns of a table outside a terminal


def run_search(context: HydraContext, config: DictConfig, overrides: Sequence[str], arguments: Sequence[str]) -> None:
    """Search over the swept overrides. Raises UserError.

    Args:
        context: of Hydra.
        config: the composed config without the swept keys.
        overrides: the overrides of the jobs.
        arguments: all arguments of the command.
    """
    setup_globals()
    search = make_search(config, context.config_loader, overrides)
    settings = _sweep_settings(config)
    search.check()
    configs = corner_configs(search.space, config, context.config_loader)

    from pgexp.cli.training_report import train_and_report  # imports torch
    from pgexp.execution.validation import validate

    validate(configs)
    create_folder(search, config)

    if settings.sweep.dry_run:
        first, trials = search.first_trial()
        print_estimate([job for job, _ in plan_jobs(context, config, first, 0)] * trials, settings)
        sys.exit(0)
    console = Terminal(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH

    def train(_: Console) -> "SweepResult":
        from pgexp.cli.search.loop import SweepTrainer
        from pgexp.execution.training import GrowingSweep

        with GrowingSweep(search.folder, settings, console) as sweep:
            trainer = SweepTrainer(context, config, sweep, settings.sweep.objective.metric)
            search.run(trainer, plain(config, resolve=False), arguments, console)
        return sweep.result()

    result = train_and_report(train, search.folder, current_state().output_dirs)
    if result.has_failed:
        fail(at_once=settings.sweep.fail_fast)


def make_search(config: DictConfig, loader: ConfigLoader, overrides: Sequence[str]) -> "Search":
    """Return the search of a command. Raises UserError."""
    if find_spec("optuna") is None:
        text = "needs the package optuna (got optuna). Run: pip install 'pgexp[optuna]'"
        raise UserError.at("hydra/sweeper", text)

    import optuna

    from pgexp.cli.search.loop import Search
    from pgexp.cli.search.space import read_settings, read_space

    settings = read_settings(plain(config.hydra.sweeper))
    sweep = _sweep_settings(config).sweep
    if sweep.pruner != "none":
        _require_evaluations(config, sweep.objective.metric, sweep.pruner)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = read_space(overrides, settings.params, loader)
    return Search(settings, sweep, space, Path(config.hydra.sweep.dir).absolute())


def _sweep_settings(config: DictConfig) -> Settings:
    return parse_settings({name: plain(config[name]) for name in SWEEP_KEYS})


def _require_evaluations(config: DictConfig, metric: str, pruner: str) -> None:
    """Raise UserError if the objective is not evaluated during training."""
    if metric.partition("/")[0] not in (FINAL, EVALUATION):
        text = f"needs an objective of evaluations (got pruner {pruner} and objective {metric})"
        raise UserError.at("sweep.pruner", f"{text}. Set sweep.objective.metric=final/return_mean")
    if config.evaluation.every is None:
        text = f"needs evaluations during training (got {pruner}). Set evaluation.every to a number of steps"
        raise UserError.at("sweep.pruner", text)


def create_folder(search: "Search", config: DictConfig) -> None:
    """Create the sweep's folder, with Hydra's file."""
    search.folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, search.folder / "multirun.yaml")
    mask_hydra_files(search.folder, config.hydra.output_subdir)


def plain(config: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """Return a config as plain mappings and values."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=resolve))


def corner_configs(space: "Space", config: DictConfig, loader: ConfigLoader) -> list[RunConfig]:
    """Return configs that cover a space: each choice, and both ends of each range and interval.

    They are checked before training, since a search may reach a wrong value after hours. One key is varied at a time,
    because some values may exclude each other. Raises what composing or checking a config raises.
    """
    configs = []
    for params in _corners(space):
        for overrides in space.jobs(params)[:1]:  # the seeds were checked with the command's other values
            job = loader.load_sweep_config(config, overrides)
            choices = dict(job.hydra.runtime.choices)
            with open_dict(job):
                del job["hydra"]
            configs.append(run_config(job, choices))
    return configs


def _corners(space: "Space") -> "Iterator[dict[str, Value]]":
    values = {key: _ends(found) for key, found in space.searched.items()}
    first = {key: found[0] for key, found in values.items()}
    yield first
    for key, found in values.items():
        yield from (first | {key: value} for value in found[1:])


def _ends(found: "BaseDistribution") -> "list[Value]":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(found, CategoricalDistribution):
        return [str(choice) for choice in found.choices]
    assert isinstance(found, IntDistribution | FloatDistribution)  # there are these three
    return [found.low, found.high]
