"""The arguments of pgexp-compare."""

import argparse
from pathlib import Path

from pgexp.comparison.store import DEFAULT_URI

DESCRIPTION = """Compare the runs of sweeps: a table with intervals over seeds and the differences in words, files of
these and of the metrics, and figures."""


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with the code 2 where they can't be read, or do not go together."""
    parser = argparse.ArgumentParser(prog="pgexp-compare", description=DESCRIPTION)
    _add_runs(parser)
    _add_comparison(parser)
    _add_selection(parser)
    arguments = parser.parse_args(argv)
    for name, needed in (("question", "report"), ("by", "select"), ("seeds", "select"), ("run", "select")):
        if getattr(arguments, name) and not getattr(arguments, needed):
            parser.error(f"argument --{name}: it goes with --{needed}")
    if arguments.select and arguments.report and not arguments.run:
        parser.error("argument --report: it goes with --select --run, which has fresh seeds to report on")
    return arguments


def _add_runs(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "sweeps",
        nargs="*",
        default=[],
        metavar="SWEEP",
        help="a sweep's folder, id or beginning of its id; the runs of several are joined (default: the newest)",
    )
    which.add_argument("--all", action="store_true", help="compare every run of the experiment, of any sweep")
    which.add_argument("--runs", nargs="+", metavar="ID", help="compare the runs of these ids")
    parser.add_argument("--uri", help=f"MLflow store (default: the folder's own, or {DEFAULT_URI})")
    parser.add_argument("--experiment", metavar="NAME", help="MLflow experiment (default: all in the store)")


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threshold", metavar="X", type=float, help="return to reach (default: the environment's own)")
    parser.add_argument(
        "--collapsed",
        metavar="X",
        type=float,
        help="score at or below which a run counts as collapsed (default: far below its configuration's others)",
    )
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="configuration that the others are compared with (default: every two of up to four, else the best)",
    )
    parser.add_argument(
        "--scale",
        metavar="FILE",
        type=Path,
        help="CSV file with the columns environment, low, high: what is 0 and 1 where environments are averaged",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="write report.html with every figure, and log it on the sweep's MLflow run",
    )
    parser.add_argument("--question", metavar="TEXT", help="what the report answers (default: what the design asks)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="output folder (default: comparison/<sweep id>)")


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--select",
        action="store_true",
        help="choose the best configuration by its mean, and print the command that reports it on fresh seeds",
    )
    parser.add_argument(
        "--by", action="append", metavar="NAME", help="choose within each value of this parameter (may be repeated)"
    )
    parser.add_argument("--seeds", type=_positive, metavar="N", help="how many fresh seeds (default: 17)")
    parser.add_argument("--run", action="store_true", help="train what is chosen on fresh seeds, and compare these")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of seeds")
    return number
