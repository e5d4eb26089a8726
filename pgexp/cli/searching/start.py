"""Start of a search: reads its settings, checks what it may train, and writes Hydra's file of the sweep."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from pgexp.cli.searching.settings import read_settings
from pgexp.cli.streams import Terminal
from pgexp.cli.sweep import known_runs, print_plan
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import EVALUATION, FINAL
from pgexp.schema.sweep import Settings, parse_settings
from pgexp.storage.hydra_files import mask_hydra_files

if TYPE_CHECKING:
    from pgexp.cli.searching.running import Search
    from pgexp.execution.report import Report


def search(context: HydraContext, config: DictConfig, arguments: Sequence[str], words: Sequence[str]) -> None:
    """Search as the config says, over what the arguments sweep.

    `arguments` are the overrides of what is trained, `words` all arguments of the command. Raises ConfigError.
    """
    setup_globals()
    found = prepared(config, context.config_loader, arguments)
    settings = sweep_settings(config)

    from pgexp.cli.searching.checking import checked

    found.check()
    configs = checked(found.space, config, context.config_loader)

    from pgexp.cli.outcome import carried_out, fail  # imports torch
    from pgexp.execution.validation import validate

    validate(configs)
    begin(found, config)

    if settings.sweep.dry_run:
        _print_plan(found, context, config, settings)
        return
    console = Terminal(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # a file has room for a table

    def train(_: Console) -> "Report":
        from pgexp.cli.searching.trainer import SweepTrainer
        from pgexp.execution.training import GrowingSweep

        known = known_runs(config.tracking, settings)
        with GrowingSweep(found.folder, settings, known, console) as sweep:
            trainer = SweepTrainer(context, config, sweep, settings.sweep.objective.metric)
            found.run(trainer, plain(config, resolve=False), words, console)
        return sweep.report()

    report = carried_out(train, found.folder)
    if report.has_failed:
        fail(at_once=settings.sweep.fail_fast)


def prepared(config: DictConfig, loader: ConfigLoader, arguments: Sequence[str]) -> "Search":
    """Return the search that a command asks for. Raises ConfigError."""
    settings = read_settings(plain(config.hydra.sweeper))
    sweep = sweep_settings(config).sweep
    if find_spec("optuna") is None:
        text = "given optuna; needs the package of that name: pip install 'pgexp[optuna]'"
        raise ConfigError([Problem("hydra/sweeper", text)])
    if sweep.pruner != "none":
        _require_evaluations(config, sweep.objective.metric, sweep.pruner)

    import optuna

    from pgexp.cli.searching.running import Search
    from pgexp.cli.searching.space import read_space

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = read_space(arguments, settings.params, loader)
    return Search(settings, sweep, space, Path(config.hydra.sweep.dir).absolute())


def sweep_settings(config: DictConfig) -> Settings:
    """Return the settings of the sweep, and its workers. Raises ConfigError."""
    return parse_settings({name: plain(config[name]) for name in ("sweep", "workers")})


def begin(search: "Search", config: DictConfig) -> None:
    """Make the sweep's folder, with the file that Hydra has in one."""
    search.folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, search.folder / "multirun.yaml")
    mask_hydra_files(search.folder, config.hydra.output_subdir)


def plain(config: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """Return a config as mappings and values."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=resolve))


def _print_plan(found: "Search", context: HydraContext, config: DictConfig, settings: Settings) -> None:
    """Print what the trials will take, by the first one."""
    from pgexp.cli.job_folders import planned

    overrides, trials = found.first()
    jobs = [job for job, _ in planned(context, config, overrides, 0)]
    print_plan(jobs * trials, settings)
    sys.exit(0)


def _require_evaluations(config: DictConfig, metric: str, pruner: str) -> None:
    """Raise ConfigError unless the objective is evaluated during the training."""
    if metric.partition("/")[0] not in (FINAL, EVALUATION):
        text = f"given {pruner}; needs an objective that is evaluated: sweep.objective.metric=final/return_mean"
        raise ConfigError([Problem("sweep.pruner", f"{text} (got {metric})")])
    if config.evaluation.every is None:
        text = f"given {pruner}; decides at evaluations during the training: set evaluation.every to a number of steps"
        raise ConfigError([Problem("sweep.pruner", text)])
