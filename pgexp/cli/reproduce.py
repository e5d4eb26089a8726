"""Command `pgexp-reproduce`: trains recorded runs again, and compares all numbers bit for bit."""

import argparse
import math
import os
import random
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pgexp.cli.entrypoint import print_plain, run_command
from pgexp.comparison.mlflow_store import DEFAULT_URI
from pgexp.schema.determinism import SETTINGS
from pgexp.schema.errors import Problem, UserError
from pgexp.schema.names import PROVENANCE_FOLDER
from pgexp.tracking.store import configure_command

if TYPE_CHECKING:
    from pgexp.execution.reproduce import RecordedRun
    from pgexp.execution.run_diff import ParameterDifference, RowDifference, RunDiff
    from pgexp.runs.provenance import Provenance

DESCRIPTION = """Train a recorded run again, and compare all its metrics and final parameters with the recorded ones.
Exit code: 0 if all are identical, 1 if any differs, 2 for a usage error."""
_MODULE = "pgexp.cli.reproduce"
_DEFAULT_WORKTREE = ""
_MAX_LISTED = 12  # differences


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    configure_command()

    def work() -> int:
        with _locate(arguments) as (folder, runs):
            return _reproduce(arguments, folder, runs)

    return run_command("pgexp-reproduce", work, "the recorded runs are unchanged")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pgexp-reproduce", description=DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="a run's folder or MLflow run id; with --all a sweep's folder or id")
    parser.add_argument(
        "secrets",
        metavar="KEY=VALUE",
        nargs="*",
        help="a secret of the config that was masked when the run was recorded",
    )
    parser.add_argument("--all", action="store_true", help="reproduce every run of a sweep")
    parser.add_argument("--sample", metavar="N", type=int, help="with --all: N of the runs only, always the same ones")
    parser.add_argument(
        "--worktree",
        metavar="DIR",
        nargs="?",
        const=_DEFAULT_WORKTREE,
        help="print the commands that check out the recorded code in a git worktree at DIR, install the recorded "
        "packages and reproduce the run there (default: a folder named by the commit); nothing is run",
    )
    parser.add_argument(
        "--uri", default=DEFAULT_URI, help="MLflow store in which ids are looked up (default: %(default)s)"
    )
    return parser


@contextmanager
def _locate(arguments: argparse.Namespace) -> Iterator[tuple[Path, Sequence[Path]]]:
    """Yield the folder of the run or sweep, and the folders of the runs to reproduce."""
    from pgexp.tracking.locate import locate_run, locate_sweep

    if arguments.all:
        with locate_sweep(arguments.run, arguments.uri) as sweep:
            yield sweep.folder, _sample(sweep.runs, arguments.sample)
        return
    if arguments.sample is not None:
        raise UserError.at("--sample", "needs a sweep. Add --all, and name the sweep")
    with locate_run(arguments.run, arguments.uri) as run:
        yield run.folder, [run.folder]


def _sample(runs: Sequence[Path], size: int | None) -> Sequence[Path]:
    """Return some of the runs, in their order. The choice depends on their number only."""
    if size is None:
        return runs
    if size < 1:
        raise UserError.at("--sample", f"must be at least 1 (got {size})")
    return [runs[index] for index in sorted(random.Random(0).sample(range(len(runs)), min(size, len(runs))))]


def _reproduce(arguments: argparse.Namespace, folder: Path, runs: Sequence[Path]) -> int:
    from pgexp.runs import provenance

    secrets = _secrets(arguments.secrets)
    try:
        origins = [provenance.read(run) for run in runs]
    except ValueError as error:
        raise UserError.at("run", str(error)) from error
    again = [str(folder), *arguments.secrets]
    if arguments.all:
        again += ["--all", "--sample", str(len(runs))]
    if arguments.worktree is not None:
        if len({origin.code for origin in origins}) > 1:
            text = "the runs were recorded with several versions of the code. Reproduce them one by one, without --all"
            raise UserError.at("worktree", text)
        print("\n".join(recorded_code_commands(origins[0], runs[0], arguments.worktree, again)))
        return 0
    if _set_recorded_variables(origins[0].machine.get("settings", {})) and "numpy" in sys.modules:
        sys.stdout.flush()  # NumPy has read the variables, so a new process is needed
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-P", "-m", _MODULE, *again]
        return subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=False).returncode

    try:
        return reproduce_and_print(runs, secrets, sweep=arguments.all)
    except UserError as error:
        mistaken = secrets.keys() & {problem.key for problem in error.problems}
        if mistaken or all(provenance.is_current_code(origin) for origin in origins):
            raise
        text = "the code has changed since the run was recorded. --worktree prints how to check out the recorded code"
        hint = Problem("worktree", text)
        raise UserError([*error.problems, hint]) from error


def recorded_code_commands(origin: "Provenance", run: Path, folder: str, arguments: Sequence[str]) -> list[str]:
    """Return the shell commands that reproduce a run in its recorded code and packages. Raises UserError.

    Args:
        origin: the run's provenance.
        run: the run's folder.
        folder: where the code is checked out; empty for a folder named by the commit.
        arguments: of pgexp-reproduce.
    """
    commit, records = origin.home.commit, (run / PROVENANCE_FOLDER).absolute()
    if commit is None:
        text = "the run was recorded with an installed package or uncommitted code, so it has no commit to check out"
        raise UserError.at("worktree", text)
    code = Path(folder or f"pgexp-{commit[:12]}").absolute()
    commands = [["git", "-C", origin.home.repository or ".", "worktree", "add", "--detach", str(code), commit]]
    if origin.home.diff:
        diff = next(path for path in (records / "pgexp.diff", records / "git.diff") if path.is_file())
        commands.append(["git", "-C", str(code), "apply", "--whitespace=nowarn", str(diff)])
    python = str(code / ".venv" / "bin" / "python")
    packages = ["-e", str(code)] if origin.lock is None else ["-r", str(records / "requirements.lock")]
    commands += [["python", "-m", "venv", str(code / ".venv")], [python, "-m", "pip", "install", *packages]]
    lines = [shlex.join(command) for command in commands]
    lines += [f"# not tracked by git, copy it: {name}" for name in origin.home.untracked]
    path = shlex.quote(os.pathsep.join([str(records / "modules"), str(code)]))
    return [*lines, f"PYTHONPATH={path} {shlex.join([python, '-P', '-m', _MODULE, *arguments])}"]


def _secrets(words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    problems = [Problem(key, "must have the form key=value") for key, found, _ in pairs if not found]
    if problems:
        raise UserError(problems)
    return {key: value for key, _, value in pairs}


def _set_recorded_variables(recorded: Mapping[str, str]) -> bool:
    """Set the environment variables as the run had them, and print those that change; return whether any does."""
    from pgexp.runs.provenance import VARIABLES

    changed = False
    for name in VARIABLES:
        then, now = recorded.get(name), os.environ.get(name)
        if then == now or (then is None and name in SETTINGS):  # set by pgexp itself since then
            continue
        changed = True
        print(f"{name}: set to {then or 'nothing'} as recorded (here: {now or 'unset'})")
        if then is None:
            del os.environ[name]
        else:
            os.environ[name] = then
    return changed


def reproduce_and_print(folders: Sequence[Path], secrets: Mapping[str, str], sweep: bool) -> int:
    """Reproduce the runs of some folders and print the results; return 0 if all are identical, else 1.

    Raises UserError if no run has a row, or if the runs cannot be trained with the current code.
    """
    from pgexp.execution.reproduce import read_runs, reproduce  # imports torch

    console = Console(highlight=False)
    recorded = read_runs(folders, secrets)
    runs = [run for run in recorded if run.numbers.rows]
    if not runs:
        raise UserError.at("run", f"{folders[0]} has no row of metrics yet")
    _print_differences(runs, console)
    width = max(len(run.name) for run in runs)
    identical = 0
    for run, diff in reproduce(runs, console):
        first, *more = verdict(diff)
        print_plain(console, f"{run.name:{width}}  {first}")
        for line in more:
            print_plain(console, f"{'':{width}}  {line}")
        identical += diff.identical
    if sweep:
        without = f"; {len(recorded) - len(runs)} have no row yet" if len(recorded) > len(runs) else ""
        print_plain(console, f"{identical} of {len(runs)} runs identical{without}")
    return 0 if identical == len(runs) else 1


def verdict(diff: "RunDiff") -> list[str]:
    """Return the result of a run's reproduction as lines: the verdict, then details."""
    recorded, retrained = diff.recorded, diff.retrained
    rows = f"{diff.equal_rows:,} of {diff.rows:,} rows"
    parameters = f"{diff.equal_parameters} of {diff.parameters} parameters"
    counted = f"{rows}, {parameters}" if recorded.complete else rows
    lines = [f"identical: {counted}" if diff.identical else f"different: only {counted} are identical"]
    if not recorded.complete:
        lines[0] += f" (the recording stops at {recorded.steps:,} steps, before the run's end)"
    if diff.skipped:
        lines.append(f"not compared: {diff.skipped} final evaluation(s) before the budget was extended")
    if diff.first is not None:
        lines.append(f"first difference: {_row(diff.first)}")
    if diff.most is not None:
        lines.append(f"largest difference of a parameter: {_parameter(diff.most)}")
    if recorded.reason:
        lines.append(f"the recorded run ended with: {recorded.reason}")
    if retrained.reason and retrained.reason != recorded.reason and (recorded.complete or not diff.identical):
        lines.append(f"the new run ended with: {retrained.reason}")
    return lines


def _print_differences(runs: "Sequence[RecordedRun]", console: Console) -> None:
    """Print the differences between recorded and current code and machine."""
    from pgexp.execution.reproduce import current_differences

    found = current_differences(runs)
    for difference, names in found.items():
        of = f", of {len(names)} of {len(runs)} runs" if len(found) > 1 else ""
        if difference.deciding:
            print_plain(console, f"different today{of}:")
        else:
            print_plain(console, f"code, packages and machine as recorded{of}")
        for line in difference.deciding[:_MAX_LISTED]:
            print_plain(console, f"  {line}")
        if len(difference.deciding) > _MAX_LISTED:
            print_plain(console, f"  and {len(difference.deciding) - _MAX_LISTED} more")
        for line in difference.others:
            print_plain(console, f"  {line} (changes no number)")
    if any(difference.code for difference in found):
        print_plain(console, "the code has changed; --worktree prints how to check out the recorded code")


def _row(found: "RowDifference") -> str:
    where = f"at {found.steps:,} steps{f', {found.phase}' if found.phase else ''}"
    if found.metric is None:
        return f"{where}: the whole row is {'missing' if found.is_missing else 'new'}"
    return f"{where}: {found.metric}, recorded {_value(found.recorded)}, now {_value(found.retrained)}{_gap(found)}"


def _value(value: float | None) -> str:
    return "absent" if value is None else repr(value)  # all digits, because the last one may differ


def _gap(found: "RowDifference") -> str:
    if found.recorded is None or found.retrained is None:
        return ""
    gap = abs(found.retrained - found.recorded)
    if not math.isfinite(gap):
        return ""
    relative = f", relative {gap / abs(found.recorded):.2g}" if found.recorded else ""
    return f" (absolute {gap:.2g}{relative})"


def _parameter(found: "ParameterDifference") -> str:
    if math.isinf(found.largest):
        return f"{found.name} is absent or has another shape"
    return f"{found.name}, {found.values:,} of {found.size:,} values, by up to {found.largest:.2g}"


if __name__ == "__main__":
    sys.exit(main())
