"""pgexp-reproduce: trains a recorded run again, and says whether every number is the same, bit for bit."""

import argparse
import logging
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pgexp.cli.calling import called
from pgexp.cli.compare import MLFLOW_SETTINGS
from pgexp.comparison.store import DEFAULT_URI
from pgexp.schema.determinism import SETTINGS
from pgexp.schema.errors import ConfigError, Problem

DESCRIPTION = """Train a recorded run again, and compare every row of its metrics and its final parameters with what was
recorded. The exit code is 0 where all are identical, 1 where any differs, 2 where the command can't be done."""
_PASSING = ""  # stands for a folder that goes again


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    for setting, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(setting, value)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)

    def work() -> int:
        with _found(arguments) as (folder, runs):
            return _reproduce(arguments, folder, runs)

    return called("pgexp-reproduce", work, "what was recorded is as it was")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pgexp-reproduce", description=DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="a run's folder or MLflow run id; with --all a sweep's folder or id")
    parser.add_argument(
        "secrets",
        metavar="KEY=VALUE",
        nargs="*",
        help="a secret of the config, which was masked when it was recorded",
    )
    parser.add_argument("--all", action="store_true", help="reproduce every run of a sweep")
    parser.add_argument(
        "--sample", metavar="N", type=int, help="with --all: only N of the runs, the same ones each time"
    )
    parser.add_argument(
        "--worktree",
        metavar="DIR",
        nargs="?",
        const=_PASSING,
        help="run the code that was recorded, in a git worktree at DIR (default: one that goes again), "
        "in this environment if its packages are the recorded ones, else in one made of the recorded lock file",
    )
    parser.add_argument(
        "--uri", default=DEFAULT_URI, help="MLflow store, where ids are looked up (default: %(default)s)"
    )
    return parser


@contextmanager
def _found(arguments: argparse.Namespace) -> Iterator[tuple[Path, Sequence[Path]]]:
    """Yield the folder that is meant, and those of the runs to reproduce."""
    from pgexp.storage.finding import found_run, found_sweep

    if arguments.all:
        with found_sweep(arguments.run, arguments.uri) as sweep:
            yield sweep.folder, _sample(sweep.runs, arguments.sample)
        return
    if arguments.sample is not None:
        raise ConfigError([Problem("--sample", "takes some runs of a sweep: add --all, and name the sweep")])
    with found_run(arguments.run, arguments.uri) as run:
        yield run.folder, [run.folder]


def _sample(runs: Sequence[Path], size: int | None) -> Sequence[Path]:
    """Return so many of the runs, in their order; the choice depends on nothing but their number."""
    if size is None:
        return runs
    if size < 1:
        raise ConfigError([Problem("--sample", f"given {size}; must be at least 1")])
    return [runs[index] for index in sorted(random.Random(0).sample(range(len(runs)), min(size, len(runs))))]


def _reproduce(arguments: argparse.Namespace, folder: Path, runs: Sequence[Path]) -> int:
    from pgexp.execution.restoring import run_in_recorded_code, run_module
    from pgexp.storage import provenance

    secrets = _secrets(arguments.secrets)
    try:
        origins = [provenance.read(run) for run in runs]
    except ValueError as error:
        raise ConfigError([Problem("run", str(error))]) from error
    again = ["pgexp.cli.reproduce", str(folder), *arguments.secrets]
    if arguments.all:
        again += ["--all", "--sample", str(len(runs))]
    if arguments.worktree is not None:
        if len({origin.code for origin in origins}) > 1:
            text = "the runs were recorded with several versions of the code; name them one by one, without --all"
            raise ConfigError([Problem("worktree", text)])
        kept = Path(arguments.worktree) if arguments.worktree != _PASSING else None
        return run_in_recorded_code(origins[0], runs[0], kept, again, print)
    if _settle(origins[0].machine.get("settings", {})) and "numpy" in sys.modules:
        return run_module(again, [Path(__file__).parents[2]])  # NumPy has read its settings already: anew, with these

    from pgexp.cli.reproduction import reproduce_and_tell  # torch takes seconds

    try:
        return reproduce_and_tell(runs, secrets, sweep=arguments.all)
    except ConfigError as error:
        mistaken = secrets.keys() & {problem.key for problem in error.problems}
        if mistaken or all(provenance.is_today_s_code(origin) for origin in origins):
            raise
        hint = Problem("worktree", "the code has moved on since the run was recorded; --worktree runs what it was then")
        raise ConfigError([*error.problems, hint]) from error


def _secrets(words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    problems = [Problem(key, "can't be read as key=value") for key, found, _ in pairs if not found]
    if problems:
        raise ConfigError(problems)
    return {key: value for key, _, value in pairs}


def _settle(recorded: Mapping[str, str]) -> bool:
    """Give this process the settings that the run had, and tell where they are others; return whether any is."""
    from pgexp.storage.machine import VARIABLES

    changed = False
    for name in VARIABLES:
        then, now = recorded.get(name), os.environ.get(name)
        if then == now or (then is None and name in SETTINGS):  # what pgexp did not set yet can't be had again
            continue
        changed = True
        print(f"{name} is {then or 'unset'} as when the run was recorded; here it would be {now or 'unset'}")
        if then is None:
            del os.environ[name]
        else:
            os.environ[name] = then
    return changed


if __name__ == "__main__":
    sys.exit(main())
