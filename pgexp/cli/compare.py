"""Command `pgexp-compare`: compares sweeps in a table with intervals over seeds, in files, figures and a report."""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pgexp.cli.entrypoint import run_command
from pgexp.cli.messages import FAILED
from pgexp.comparison.mlflow_store import DEFAULT_URI, TRAIN_EXAMPLE, curves_link, display_uri, ui_command
from pgexp.runs.secrets import mask_text
from pgexp.schema.errors import UserError
from pgexp.tracking.store import configure_command

if TYPE_CHECKING:
    import pandas as pd

    from pgexp.runs.manifest import SweepManifest

COMMAND = "pgexp-compare"
DESCRIPTION = """Compare the runs of sweeps. The command prints a table with intervals over seeds, and the differences
in sentences. It writes the table, the metrics and figures to files."""


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 after an I/O error or a failed run, 2 for a user's mistake."""
    environment = dict(os.environ)  # of the training with --run, before this command's settings
    arguments = _parse(argv)
    configure_command()
    words = sys.argv[1:] if argv is None else argv

    def work() -> int:
        if arguments.select:
            return _select(arguments, environment)
        query = _query(arguments)
        _compare(arguments, query, _command_line(words, arguments, query))
        return 0

    return run_command(COMMAND, work, "the files may be incomplete")


def _parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments. Exits with code 2 if they are wrong, or exclude each other."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=DESCRIPTION)
    _add_runs(parser)
    _add_comparison(parser)
    _add_selection(parser)
    arguments = parser.parse_args(argv)
    for name, needed in (("question", "report"), ("by", "select"), ("seeds", "select"), ("run", "select")):
        if getattr(arguments, name) and not getattr(arguments, needed):
            parser.error(f"argument --{name}: needs --{needed}")
    if arguments.select and arguments.report and not arguments.run:
        parser.error("argument --report: with --select it needs --run, because it reports on fresh seeds")
    return arguments


def _add_runs(parser: argparse.ArgumentParser) -> None:
    runs = parser.add_mutually_exclusive_group()
    runs.add_argument(
        "sweeps",
        nargs="*",
        default=[],
        metavar="SWEEP",
        help="folder, id or prefix of the id of a sweep; several are joined (default: the newest sweep)",
    )
    runs.add_argument("--all", action="store_true", help="compare every run of the experiment")
    runs.add_argument("--runs", nargs="+", metavar="ID", help="compare the runs with these ids")
    parser.add_argument("--uri", help=f"MLflow store (default: the folder's store, or {DEFAULT_URI})")
    parser.add_argument("--experiment", metavar="NAME", help="MLflow experiment (default: all in the store)")


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold", metavar="X", type=float, help="return to reach (default: the environment's threshold)"
    )
    parser.add_argument(
        "--collapsed",
        metavar="X",
        type=float,
        help="score at or below which a run counts as collapsed (default: far below the other seeds)",
    )
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="configuration with which the others are compared (default: all pairs of up to four, else the best)",
    )
    parser.add_argument(
        "--scale",
        metavar="FILE",
        type=Path,
        help="CSV file with the columns environment, low, high: the scores 0 and 1 for averages over environments",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="write report.html with all figures, and log it on the sweep's MLflow run",
    )
    parser.add_argument(
        "--question", metavar="TEXT", help="question that the report answers (default: derived from the design)"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="output folder (default: comparison/<sweep id>)")


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--select",
        action="store_true",
        help="select the configuration with the best mean, and print the command that trains it on fresh seeds",
    )
    parser.add_argument(
        "--by", action="append", metavar="NAME", help="select per value of this parameter (may be repeated)"
    )
    parser.add_argument("--seeds", type=_positive, metavar="N", help="number of fresh seeds (default: 17)")
    parser.add_argument("--run", action="store_true", help="train the selection on fresh seeds, and compare the runs")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1 (got {text})")
    return int(text)


@dataclass(frozen=True)
class RunQuery:
    """Selection of the runs to compare, from an MLflow store or from folders.

    From a store: the runs of some sweeps, or with some ids; all runs if both are None.
    """

    uri: str = DEFAULT_URI  # of the store; for folders, the store in which they were to be recorded
    experiment: str | None = None
    sweeps: Sequence[str] | None = None
    ids: Sequence[str] | None = None
    folders: Sequence[Path] = ()
    name: str = "all"  # of the output folder

    def runs(self) -> "pd.DataFrame":
        """Return the frame of the runs. Raises UserError if there are none."""
        from pgexp.comparison import frames

        if self.folders:
            runs = frames.runs(self.folders)
        else:
            runs = frames.runs(self.uri, self.experiment, self.sweeps, self.ids)
        if runs.empty:
            raise UserError.at("runs", f"{self.source} has none yet. Train some, for example: {TRAIN_EXAMPLE}")
        return runs

    def selection_runs(self, runs: "pd.DataFrame") -> "pd.DataFrame":
        """Return the frame of the runs by which the configurations of some runs were selected. It may be empty."""
        from pgexp.comparison import frames
        from pgexp.comparison.model_selection import selecting_sweeps

        sweeps = selecting_sweeps(runs)
        try:
            return frames.runs(self.uri, sweeps=sweeps) if sweeps else runs[:0]
        except UserError:
            return runs[:0]  # the store does not exist here

    @property
    def folder(self) -> Path:
        """The default output folder. Raises UserError if a sweep's id is not a file name."""
        if self.name in ("", ".", "..") or "/" in self.name:
            raise UserError.at("--out", f"must be set, because the sweep's id {self.name!r} is not a folder's name")
        return Path("comparison") / self.name

    @property
    def source(self) -> str:
        """The folders or the store, for messages."""
        return ", ".join(map(str, self.folders)) or display_uri(self.uri)

    @property
    def footer(self) -> str:
        """The place of the records, and how to browse them."""
        if self.folders:
            return f"Read from {self.source}, because no store has these runs."
        link = curves_link(self.uri, self.sweeps[0]) if self.sweeps and len(self.sweeps) == 1 else None
        curves = f"\nLearning curves: {link}" if link else ""
        return f"Recorded in {self.source}. To browse: {ui_command(self.uri)}{curves}"


def make_query(
    sweeps: Sequence[str],
    ids: Sequence[str] | None = None,
    everything: bool = False,
    uri: str | None = None,
    experiment: str | None = None,
) -> RunQuery:
    """Return the query of a command line. By default it is the newest sweep.

    Runs of a folder are read from the store `uri`, or else from the store of its manifest. If that store does not
    exist or does not know the sweep, they are read from the folder. Raises UserError if something does not exist.

    Args:
        sweeps: ids, prefixes of ids, or folders.
        ids: run ids.
        everything: whether all runs are compared.
        uri: the store.
        experiment: the MLflow experiment.
    """
    if ids is not None or everything:
        return RunQuery(uri or DEFAULT_URI, experiment, ids=ids, name="all" if ids is None else "runs")
    manifests = {name: _read_manifest(Path(name)) for name in sweeps if "/" in name or Path(name).exists()}
    store = uri or _common_store(list(manifests.values()))
    if manifests and store is None:
        other = next((name for name in sweeps if name not in manifests), None)
        if other is not None:
            raise UserError.at(
                "SWEEP", f"no such folder (got {other}). If it is a sweep's id, set its store with --uri"
            )
        names = [manifests[name].sweep or manifests[name].folder.absolute().name for name in sweeps]
        uri = manifests[sweeps[0]].tracking.uri
        return RunQuery(uri, folders=[Path(name) for name in sweeps], name=_title(names))
    return _store_query([_sweep_id(name, manifests) for name in sweeps], store or DEFAULT_URI, experiment)


def _store_query(sweeps: Sequence[str], uri: str, experiment: str | None) -> RunQuery:
    """Return the query of a store's sweeps, by prefixes of ids. By default it is the newest sweep."""
    from pgexp.comparison import frames
    from pgexp.comparison.mlflow_source import find_sweep

    known = frames.sweeps(uri, experiment)
    ids = [find_sweep(text, known) for text in sweeps] or known["sweep"].astype(str).tolist()[:1]
    ids = list(dict.fromkeys(ids))
    return RunQuery(uri, experiment, ids or None, name=_title(ids) if ids else "all")


def _common_store(manifests: "Sequence[SweepManifest]") -> str | None:
    """Return the store that has the sweeps of all manifests, or None."""
    uris = {manifest.tracking.uri for manifest in manifests}
    if len(uris) != 1:
        return None

    from pgexp.comparison import frames

    (uri,) = uris
    try:
        known = set(frames.sweeps(uri)["sweep"])
    except UserError:
        return None
    return uri if all(manifest.sweep in known for manifest in manifests) else None


def _read_manifest(folder: Path) -> "SweepManifest":
    from pgexp.runs.manifest import load_manifest

    try:
        return load_manifest(folder)
    except ValueError as error:
        raise UserError.at("SWEEP", f"{folder} is not the folder of a sweep or a run ({error})") from error


def _sweep_id(name: str, manifests: "Mapping[str, SweepManifest]") -> str:
    if name not in manifests:
        return name
    sweep = manifests[name].sweep
    if sweep is None:
        text = f"{name} is the folder of a single run. Pass it without --uri, or its id with --runs"
        raise UserError.at("SWEEP", text)
    return sweep


def _title(sweeps: Sequence[str]) -> str:
    return sweeps[0] + (f"+{len(sweeps) - 1}" if len(sweeps) > 1 else "")


def _query(arguments: argparse.Namespace) -> RunQuery:
    return make_query(arguments.sweeps, arguments.runs, arguments.all, arguments.uri, arguments.experiment)


def _command_line(words: Sequence[str], arguments: argparse.Namespace, query: RunQuery) -> str:
    """Return the command line that repeats the comparison, without passwords and with the newest sweep's id."""
    newest = () if arguments.sweeps else query.sweeps or ()
    return shlex.join(map(mask_text, [COMMAND, *newest, *words]))


def _compare(arguments: argparse.Namespace, query: RunQuery, command: str) -> None:
    """Compare the runs of a query: write the files, print the table, and log the report if it is asked for."""
    from pgexp.comparison import frames, table
    from pgexp.comparison.across_environments import read_scale
    from pgexp.comparison.comparison import compare, write_figures, write_frames

    scale = None if arguments.scale is None else read_scale(arguments.scale)
    runs = query.runs()
    comparison = compare(
        runs,
        frames.metrics(runs, query.uri),
        threshold=arguments.threshold,
        collapsed=arguments.collapsed,
        reference=arguments.reference,
        scale=scale,
        selecting=query.selection_runs(runs),
        uri="" if query.folders else query.uri,
        command=command,
    )
    folder = arguments.out or query.folder
    paths = write_frames(comparison, folder)
    if arguments.report:
        from pgexp.comparison.report.report import log_report, write_report

        paths += write_report(comparison, folder, arguments.question)
    else:
        paths += write_figures(comparison, folder)
    table.show(comparison)
    print("", *comparison.notes, "", *_path_lines(paths), "", sep="\n")
    print(query.footer)
    if arguments.report:
        print(log_report(comparison, query.sweeps or (), folder, paths))


def _path_lines(paths: Sequence[Path]) -> list[str]:
    """Return the paths in their order. Files that differ by their suffix only share a line: a.{png,svg}."""
    suffixes: dict[Path, list[str]] = {}
    for path in paths:
        suffixes.setdefault(path.with_suffix(""), []).append(path.suffix[1:])
    return [
        f"{stem}.{kinds[0]}" if len(kinds) == 1 else f"{stem}.{{{','.join(kinds)}}}" for stem, kinds in suffixes.items()
    ]


def _select(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Select configurations and print the commands for fresh seeds. With --run, run them and compare the runs."""
    from rich.console import Console

    from pgexp.cli import selection

    query = _query(arguments)
    runs = query.runs()
    sweeps = runs["sweep"].dropna().unique().tolist()
    selected = selection.make_selection(runs, sweeps, query.uri, arguments.by or (), arguments.seeds)
    selection.print_selection(selected, Console())
    if not arguments.run:
        return 0
    code = selection.train(selected, environment)
    if code in (0, FAILED):
        folders = list(map(str, selected.folders))
        fresh = argparse.Namespace(**vars(arguments) | {"sweeps": folders, "runs": None, "all": False})
        _compare(fresh, _query(fresh), shlex.join([COMMAND, *folders]))
    return code


if __name__ == "__main__":
    sys.exit(main())
