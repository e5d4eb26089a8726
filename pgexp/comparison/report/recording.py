"""A report's files as artifacts of the sweeps' MLflow runs, where the MLflow UI shows them."""

from collections.abc import Sequence
from pathlib import Path

from pgexp.comparison.comparing import Comparison
from pgexp.comparison.store import ComparisonError, opened, shown
from pgexp.schema.names import COMPARISON_FOLDER


def log_report(comparison: Comparison, sweeps: Sequence[str], folder: Path, paths: Sequence[Path]) -> str:
    """Log the files of a folder on these sweeps' runs, in place of an earlier report; return a sentence that says so.

    Raw metrics stay out: the seeds' runs have them. Raises ComparisonError where the store can't be written; the
    files stand anyway.
    """
    if not comparison.uri:
        return "The report is not logged in MLflow: no store knows these runs."
    if not sweeps:
        return "The report is not logged in MLflow: only a sweep that is named, or the newest by default, holds one."
    with opened(comparison.uri) as client:
        from pgexp.storage.mlflow_client import MlflowException
        from pgexp.storage.mlflow_comparison import log_comparison, sweep_run

        runs = {sweep: sweep_run(client, sweep) for sweep in sweeps}
        try:
            for run in runs.values():
                if run is not None:
                    log_comparison(client, comparison.uri, run, folder, [path for path in paths if _is_kept(path)])
        except MlflowException as error:
            text = f"the report stands in {folder}, but can't be logged: is {shown(comparison.uri)} writable? ({error})"
            raise ComparisonError(text) from error
    logged = [sweep for sweep, run in runs.items() if run is not None]
    missing = [sweep for sweep, run in runs.items() if run is None]
    told = (
        [f"Logged as artifacts below {COMPARISON_FOLDER}/ of the run of sweep {', '.join(logged)}."] if logged else []
    )
    told += [f"Not logged for sweep {', '.join(missing)}: the store has no run of it."] if missing else []
    return " ".join(told)


def _is_kept(path: Path) -> bool:
    return path.suffix != ".parquet"
