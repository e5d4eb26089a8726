"""Command `pgexp-evaluate`: evaluates a trained policy on fresh episodes."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pgexp.cli.entrypoint import print_plain, read_options, run_command
from pgexp.schema.errors import UserError
from pgexp.schema.names import EVALUATIONS_FOLDER, VIDEO_FOLDER, evaluate_metrics
from pgexp.schema.types import NonNegativeInt, PositiveInt
from pgexp.tracking.store import configure_command

if TYPE_CHECKING:
    from pgexp.algorithms.evaluator import EvaluationResult
    from pgexp.execution.evaluate import PolicyEvaluation
    from pgexp.tracking.locate import LocatedRun

DESCRIPTION = "Evaluate a trained policy on fresh episodes. The same command gives the same numbers."
RUN_HELP = "a run's folder, an MLflow run id, or a registered model: models:/name/3, models:/name@alias, name/3"
OPTIONS_HELP = """options, as key=value:
  episodes=100   number of episodes
  greedy=true    take the most probable actions; false: sample them (default: as in the run's evaluations)
  seed=0         selects the episodes, on random streams that training does not use
  policy=best    the policy with the best evaluation during training, whose score there is too high
  video=true     record the first episode as MP4 and GIF
  render=human   show the episodes in a window; Ctrl-C ends it
"""

_ROWS = {
    "std": "std",
    "min": "min",
    "p5": "5 %",
    "p25": "25 %",
    "median": "50 %",
    "p75": "75 %",
    "p95": "95 %",
    "max": "max",
}


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    episodes: PositiveInt = 100
    greedy: bool | None = None  # None: as in the run's evaluations
    seed: NonNegativeInt = 0
    policy: Literal["final", "best"] = "final"
    video: bool = False
    render: Literal["human"] | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    configure_command()

    def work() -> int:
        options = read_options(arguments.options, Options)
        if options.video and options.render:
            raise UserError.at("render", "excludes video=true. Remove one of them")
        evaluate(arguments.run, arguments.uri, options)
        return 0

    return run_command("pgexp-evaluate", work, "nothing was recorded")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgexp-evaluate",
        description=DESCRIPTION,
        epilog=OPTIONS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("options", metavar="KEY=VALUE", nargs="*", help="see below")
    parser.add_argument("--uri", help="MLflow store (default: the run's store, or sqlite:///mlflow.db)")
    return parser


def evaluate(name: str, uri: str | None, options: Options) -> None:
    """Evaluate the policy of a run or of a registered model. Raises UserError before the evaluation.

    uri: the store, or None for the default.
    """
    from pgexp.execution.assembly import require_video, require_window  # imports torch
    from pgexp.execution.evaluate import EvaluationRequest, PolicyEvaluation, to_json
    from pgexp.execution.trained_policy import load_run_policy

    console = Console(highlight=False)
    with _find(name, uri) as found:
        trained = load_run_policy(found.folder, options.policy)
        greedy = trained.description.greedy if options.greedy is None else options.greedy
        request = EvaluationRequest(options.episodes, greedy, options.seed, options.policy)
        evaluation = PolicyEvaluation(trained, request)
        try:
            if options.video:
                require_video(evaluation.env, "video")
            if options.render:
                require_window(evaluation.env, "render")
            report = to_json(evaluation, _run(evaluation, console))
            _print_report(report, console)
            files = _write(evaluation, report, found.folder, options.video)
            _print_places(found, files, _log(found, uri, report, files), console)
            if options.render:
                _show(evaluation, console)
        finally:
            evaluation.close()


@contextmanager
def _find(name: str, uri: str | None) -> "Iterator[LocatedRun]":
    from pgexp.comparison.mlflow_store import DEFAULT_URI, open_store
    from pgexp.tracking.locate import is_model_version, locate_run, locate_version
    from pgexp.tracking.store import URI_VARIABLE

    if Path(name).exists():
        with locate_run(name, DEFAULT_URI) as found:
            yield found
        return
    store = uri or os.environ.get(URI_VARIABLE) or DEFAULT_URI
    try:
        with open_store(store):
            pass
    except UserError as error:
        text = f"no such folder (got {name!r}), and no store in which to look it up: {error.problems[0].text}"
        raise UserError.at("run", text) from error
    with (locate_version if is_model_version(name) else locate_run)(name, store) as found:
        yield found


def _run(evaluation: "PolicyEvaluation", console: Console) -> "EvaluationResult":
    from pgexp.execution.progress import ProgressDisplay

    episodes = evaluation.request.episodes
    with ProgressDisplay(console, 1) as display:
        for result in evaluation.run():
            done = int((result.lengths > 0).sum())
            display.show_stage("evaluating", done / episodes, f"{done:,} of {episodes:,} episodes")
    return result


def _print_report(report: Mapping[str, Any], console: Console) -> None:
    from pgexp.statistics.number_format import format_number

    summary, episodes = report["summary"], report["episodes"]
    actions = "greedy" if report["greedy"] else "sampled"
    count = f"{episodes:,} episode{'' if episodes == 1 else 's'}"
    best = "best " if report["policy"] == "best" else ""
    title = f"{report['env']}, {best}policy after {report['steps']:,} steps, {actions}, {count}"
    console.print(title, style="bold", markup=False, soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for heading in ("", "return", "length"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("mean", *_cells(summary, "mean"))
    if "return_mean_low" in summary:
        low, high = format_number(summary["return_mean_low"]), format_number(summary["return_mean_high"])
        table.add_row("95 % interval", f"[{low}, {high}]", "")
    for name, heading in _ROWS.items():
        table.add_row(heading, *_cells(summary, name))
    console.print(table)
    console.print(f"truncated by a time limit: {round(summary['truncated_share'] * episodes):,} of {episodes:,}")
    console.print("The interval is over episodes of this one policy, not over seeds.")
    seed, *labels = report["streams"]
    streams = ", ".join([str(seed), *map(repr, labels), "episode"])
    console.print(f"Random streams: ({streams}). Training does not use them.", soft_wrap=True)


def _cells(summary: Mapping[str, float], name: str) -> list[str]:
    from pgexp.statistics.number_format import format_number

    return [format_number(summary[f"{quantity}_{name}"]) for quantity in ("return", "episode_length")]


def _write(
    evaluation: "PolicyEvaluation", report: Mapping[str, Any], folder: Path, video: bool
) -> dict[str, list[Path]]:
    """Write the evaluation into a run's folder. Return the files per subfolder."""
    from pgexp.runs.files import write_json

    name = evaluation.request.name
    files = {EVALUATIONS_FOLDER: [folder / EVALUATIONS_FOLDER / f"{name}.json"]}
    write_json(files[EVALUATIONS_FOLDER][0], dict(report))
    if video:
        path = folder / VIDEO_FOLDER / f"{name}-episode-0.mp4"
        evaluation.film(path)
        files[VIDEO_FOLDER] = [path, path.with_suffix(".gif")]
    return files


def _log(found: "LocatedRun", uri: str | None, report: Mapping[str, Any], files: Mapping[str, list[Path]]) -> str:
    """Log the evaluation on the run in MLflow. Return a line with the place, or with the reason of a failure."""
    from pgexp.comparison.mlflow_store import DEFAULT_URI, display_uri, open_store
    from pgexp.runs.manifest import manifest_of
    from pgexp.tracking.artifacts import find_run, log_evaluation
    from pgexp.tracking.store import URI_VARIABLE, full_uri

    manifest = None if found.copied else manifest_of(found.folder)
    later = ". The run's folder has it; repeat the command when the store is available" if manifest else ""
    try:
        store = uri or (full_uri(manifest.tracking.uri) if manifest else os.environ.get(URI_VARIABLE, DEFAULT_URI))
        with open_store(store) as client:
            run_id = found.run_id or find_run(client, found.folder)
            if run_id is None:
                return f"MLflow  not recorded: {display_uri(store)} does not contain the run{later}"
            log_evaluation(client, run_id, evaluate_metrics(report["summary"]), report["steps"], files)
    except UserError as error:
        return f"MLflow  not recorded: {error.problems[0].text}{later}"
    except OSError as error:
        return f"MLflow  not recorded: {error}{later}"
    return f"MLflow  {display_uri(store)}, run {run_id}"


def _print_places(found: "LocatedRun", files: Mapping[str, list[Path]], logged: str, console: Console) -> None:
    if not found.copied:
        for path in (path for paths in files.values() for path in paths):
            print_plain(console, f"file    {path}")
    print_plain(console, logged)


def _show(evaluation: "PolicyEvaluation", console: Console) -> None:
    with suppress(KeyboardInterrupt):  # the evaluation is complete and recorded
        for episode in range(evaluation.request.episodes):
            console.print(f"episode {episode}; Ctrl-C ends it")
            for _ in evaluation.show(episode):
                pass


if __name__ == "__main__":
    sys.exit(main())
