"""What stands behind pgexp-evaluate: plays the episodes, tells what came of them, and records it with the run."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pgexp.comparison.store import DEFAULT_URI, ComparisonError, opened, shown
from pgexp.execution.evaluating import Request, TrainedEvaluation, reported
from pgexp.execution.pictures import require_video, require_window
from pgexp.execution.policies import load_policy_of_run
from pgexp.execution.progress import ProgressDisplay
from pgexp.learning.evaluator import Outcome
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import EVALUATIONS_FOLDER, VIDEO_FOLDER, evaluate_metrics
from pgexp.statistics.digits import written
from pgexp.storage.files import write_json
from pgexp.storage.finding import FoundRun, found_run
from pgexp.storage.record import record_of
from pgexp.storage.registry import found_version, names_version
from pgexp.storage.store_uri import URI_VARIABLE, full_uri

_LINES = {
    "std": "std",
    "min": "min",
    "p5": "5 %",
    "p25": "25 %",
    "median": "50 %",
    "p75": "75 %",
    "p95": "95 %",
    "max": "max",
}


def evaluate(
    name: str,
    uri: str | None,
    *,
    episodes: int,
    greedy: bool | None,
    seed: int,
    policy: Literal["final", "best"],
    video: bool,
    render: str | None,
) -> None:
    """Evaluate the policy of the run, or of the registered model, of that name; `uri` is the store's if it is given.

    greedy: None is as the run was evaluated. Raises ConfigError, before anything is played, where that can't be.
    """
    console = Console(highlight=False)
    with _found(name, uri) as found:
        trained = load_policy_of_run(found.folder, policy)
        greedy = trained.description.greedy if greedy is None else greedy
        evaluation = TrainedEvaluation(trained, Request(episodes, greedy, seed, policy))
        try:
            if video:
                require_video(evaluation.env, "video")
            if render:
                require_window(evaluation.env, "render")
            report = reported(evaluation, _played(evaluation, console))
            _tell(report, console)
            files = _kept(evaluation, report, found.folder, video)
            _tell_places(found, files, _logged(found, uri, report, files), console)
            if render:
                _show(evaluation, console)
        finally:
            evaluation.close()


@contextmanager
def _found(name: str, uri: str | None) -> Iterator[FoundRun]:
    if Path(name).exists():
        with found_run(name, DEFAULT_URI) as found:
            yield found
        return
    store = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    try:
        with opened(store):
            pass
    except ComparisonError as error:
        text = f"given {name!r}, which is no folder here, and {error}"
        raise ConfigError([Problem("run", text)]) from error
    with (found_version if names_version(name) else found_run)(name, store) as found:
        yield found


def _played(evaluation: TrainedEvaluation, console: Console) -> Outcome:
    episodes = evaluation.request.episodes
    with ProgressDisplay(console, 1) as display:
        for outcome in evaluation.run():
            done = int((outcome.lengths > 0).sum())
            display.stage("evaluating", done / episodes, f"{done:,} of {episodes:,} episodes")
    return outcome


def _tell(report: Mapping[str, Any], console: Console) -> None:
    summary, episodes = report["summary"], report["episodes"]
    acting = "greedy" if report["greedy"] else "sampled"
    of = f"{episodes:,} episode{'' if episodes == 1 else 's'}"
    best = "best " if report["policy"] == "best" else ""
    title = f"{report['env']}, {best}policy after {report['steps']:,} steps, {acting}, {of}"
    console.print(title, style="bold", markup=False, soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for heading in ("", "return", "length"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("mean", *_cells(summary, "mean"))
    if "return_mean_low" in summary:
        low, high = written(summary["return_mean_low"]), written(summary["return_mean_high"])
        table.add_row("95 % interval", f"[{low}, {high}]", "")
    for name, heading in _LINES.items():
        table.add_row(heading, *_cells(summary, name))
    console.print(table)
    console.print(f"cut by a time limit: {round(summary['truncated_share'] * episodes):,} of {episodes:,}")
    console.print("The interval is over episodes of this one policy, not over seeds.")
    seed, *labels = report["streams"]
    streams = ", ".join([str(seed), *map(repr, labels), "episode"])
    console.print(f"Streams: ({streams}); training draws from none of them.", soft_wrap=True)


def _cells(summary: Mapping[str, float], name: str) -> list[str]:
    return [written(summary[f"{quantity}_{name}"]) for quantity in ("return", "episode_length")]


def _kept(evaluation: TrainedEvaluation, report: Mapping[str, Any], folder: Path, video: bool) -> dict[str, list[Path]]:
    """Write the evaluation into a run's folder; return the files by the folder in it that they stand in."""
    name = evaluation.request.name
    files = {EVALUATIONS_FOLDER: [folder / EVALUATIONS_FOLDER / f"{name}.json"]}
    try:
        write_json(files[EVALUATIONS_FOLDER][0], dict(report))
        if video:
            film = folder / VIDEO_FOLDER / f"{name}-episode-0.mp4"
            evaluation.film(film)
            files[VIDEO_FOLDER] = [film, film.with_suffix(".gif")]
    except OSError as error:
        text = f"{error.filename or folder} can't be written: {error.strerror}"
        raise ConfigError([Problem("run", text)]) from error
    return files


def _logged(found: FoundRun, uri: str | None, report: Mapping[str, Any], files: Mapping[str, list[Path]]) -> str:
    """Record the evaluation with the run in MLflow; return where it is, or why it is not."""
    record = None if found.copied else record_of(found.folder)
    later = "; the run's folder has it. The same command records it once the store is there" if record else ""

    from pgexp.storage.mlflow_evaluation import find_run, log_evaluation  # MLflow takes seconds

    try:
        store = uri or (full_uri(record.tracking.uri) if record else os.environ.get(URI_VARIABLE, DEFAULT_URI))
        with opened(store) as client:
            run_id = found.run_id or find_run(client, found.folder)
            if run_id is None:
                return f"MLflow  {shown(store)} does not hold the run{later}"
            log_evaluation(client, run_id, evaluate_metrics(report["summary"]), report["steps"], files)
    except (ComparisonError, ConfigError, OSError) as error:
        return f"MLflow  not recorded: {error}{later}"
    return f"MLflow  {shown(store)}, run {run_id}"


def _tell_places(found: FoundRun, files: Mapping[str, list[Path]], logged: str, console: Console) -> None:
    if not found.copied:
        for path in (path for paths in files.values() for path in paths):
            console.print(f"file    {path}", markup=False, soft_wrap=True)
    console.print(logged, markup=False, soft_wrap=True)


def _show(evaluation: TrainedEvaluation, console: Console) -> None:
    with suppress(KeyboardInterrupt):  # all that was asked for but this is done
        for episode in range(evaluation.request.episodes):
            console.print(f"showing episode {episode}; Ctrl-C ends it")
            for _ in evaluation.show(episode):
                pass
