"""Time and memory of loading a sweep into data frames, from a store and from a folder.

    python -m benchmarks.loading [--runs 1000] [--points 1000]

The store is a fresh SQLite database, written by MLflow with the parameters, tags and metrics of a training; the folder
is that of the same sweep. Each run's table has twenty metrics per row, and an evaluation in each fiftieth row. Each
source is loaded in a new process. `importing` is the import of pandas and, for the store, MLflow. `runs` is the
frame of runs, `evaluations` that of one metric, `metrics` that of all metrics with rows and MiB; `peak` is that
of the process.
"""

import argparse
import resource
import shutil
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from pgexp.runs.manifest import RunEntry, SweepManifest, Tracking, save_manifest
from pgexp.runs.metric_tables import write_tables
from pgexp.runs.run_log import Row, RunLogWriter, RunState
from pgexp.schema import names

_SEEDS = 10  # per configuration
_SPARSE = 50  # rows between two evaluations
_DENSE = (names.RETURN_MEAN, *(f"group/metric_{number}" for number in range(19)))
_PARAMS: dict[str, str | int | float | bool] = {
    f"part_{number // 8}.option_{number % 8}": 1 / (number + 1) for number in range(56)
}


def one_run(folder: Path, points: int) -> None:
    """Write the run log and the table of one run, which all runs share."""
    log = RunLogWriter(folder / names.ROWS_FILE)
    for update in range(1, points + 1):
        dense = {name: (update * (number + 1)) ** 0.5 for number, name in enumerate(_DENSE)}
        log.append(Row(500 * update, update / points, 1_000 * update, dense))
        if update % _SPARSE == 0:
            evaluation = dict.fromkeys(names.evaluation_metrics(names.EVALUATION), update / points)
            log.append(Row(500 * update, update / points, 1_000 * update, evaluation))
    final = dict.fromkeys(names.evaluation_metrics(names.FINAL), 1.0)
    log.append(Row(500 * points, 1.0, 1_000 * points, final))
    log.end(RunState.FINISHED, complete=True)
    write_tables(folder)


def sweep_of(one: Path, folder: Path, runs: int, uri: str) -> SweepManifest:
    """Write the manifest of a sweep whose runs have the numbers of one run."""
    made = SweepManifest(folder, "sweep", "sweep", "", Tracking(uri, "loading", 200), tuple(map(_run, range(runs))), {})
    save_manifest(made)
    for run in made.runs:
        shutil.copy2(one / names.METRICS_FILE, made.folder_of(run))
        (made.folder_of(run) / names.ROWS_FILE).hardlink_to(one / names.ROWS_FILE)
    return made


def _run(number: int) -> RunEntry:
    configuration, seed = divmod(number, _SEEDS)
    name = f"optimizer.lr={configuration + 1}e-3"
    params = _PARAMS | {"env.id": "CartPole-v1", "optimizer.lr": (configuration + 1) * 1e-3, "seed": seed}
    key = f"{configuration:016x}"
    return RunEntry(str(number), uuid.uuid4().hex, f"{name} seed={seed}", name, key, name, seed, params, {})


def export(sweep: SweepManifest) -> None:
    """Write the sweep's runs into its store as the exporter does, but only the last point per metric."""
    from pgexp.tracking.client import Metric, Param, artifact_location, connect, param_texts

    client = connect(sweep.tracking.uri)
    experiment = client.create_experiment(sweep.tracking.experiment, artifact_location(sweep.tracking.uri))
    last = (*_DENSE, *names.evaluation_metrics(names.EVALUATION), *names.evaluation_metrics(names.FINAL))
    for run in sweep.runs:
        tags = {names.TAG_ROLE: names.ROLE_RUN, names.TAG_SWEEP: "sweep", names.TAG_CONFIGURATION: run.configuration}
        tags |= {names.TAG_CONFIGURATION_NAME: run.configuration_name, names.TAG_CODE: "c0de", names.TAG_KEY: run.key}
        tags |= {names.TAG_THRESHOLD: "475.0", names.TAG_FOLDER: str(sweep.folder_of(run))}
        tags[names.TAG_ROWS_SYNCED] = "1021"
        info = client.create_run(experiment, 1_000, tags, run_name=run.name).info
        params = [Param(name, text) for name, text in param_texts(run.params).items()]
        client.log_batch(info.run_id, [Metric(name, 1.0, 2_000, 3) for name in last], params)
        client.set_terminated(info.run_id, "FINISHED", 3_000)
        artifacts = Path(info.artifact_uri.removeprefix("file://"))
        artifacts.mkdir(parents=True)
        shutil.copy2(sweep.folder_of(run) / names.METRICS_FILE, artifacts)


def load(source: str | Path, uri: str) -> str:
    """Load the frames in this process, and return the cost as a line of the table."""
    times = [time.perf_counter()]
    from pgexp.comparison import frames

    if isinstance(source, str):
        import_module("pgexp.tracking.client")  # takes seconds, which are measured separately
    times.append(time.perf_counter())
    runs = frames.runs(source)
    times.append(time.perf_counter())
    evaluations = frames.metrics(runs, uri, [names.EVALUATION_RETURN])
    times.append(time.perf_counter())
    metrics = frames.metrics(runs, uri)
    times.append(time.perf_counter())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    importing, first, one, whole = (end - begin for begin, end in pairwise(times))
    frame = metrics.memory_usage(deep=True).sum() / 2**20
    assert len(evaluations) < len(metrics)
    return f"{importing:>10.1f}{first:>10.2f}{one:>14.2f}{whole:>10.2f}{len(metrics):>14,}{frame:>12.0f}{peak:>12.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        one_run(Path(folder, "one"), arguments.points)
        sweep = sweep_of(Path(folder, "one"), Path(folder, "sweep"), arguments.runs, uri)
        export(sweep)
        columns = ("importing", "runs", "evaluations", "metrics", "rows", "frame MiB", "peak MiB")
        widths = (10, 10, 14, 10, 14, 12, 12)
        heading = "".join(f"{column:>{width}}" for column, width in zip(columns, widths, strict=True))
        print(f"{arguments.runs:,} runs x {arguments.points:,} points, seconds\n{'':<8}{heading}")
        for name, source in (("store", uri), ("folder", sweep.folder)):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                print(f"{name:<8}{process.submit(load, source, uri).result()}", flush=True)


if __name__ == "__main__":
    main()
