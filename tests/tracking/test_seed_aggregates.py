"""Aggregates over seeds of a configuration's MLflow run, and their equality with the comparison."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from pgexp.comparison.curves import curve_frame
from pgexp.comparison.frames import metrics, runs
from pgexp.comparison.summary import summary
from pgexp.runs import run_log
from pgexp.runs.manifest import SweepManifest, save_manifest
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.tracking.client import MlflowClient, MlflowException, Run
from pgexp.tracking.export import SweepExport, aggregate_curve, seed_aggregates

MakeSweep = Callable[..., SweepManifest]
GROUP = "over_seeds/"


def export_all(manifest: SweepManifest, export: SweepExport | None = None) -> SweepExport:
    """Export all rows, by a new export if `export` is None."""
    if export is None:
        export = SweepExport(manifest)
        export.open()
    for _ in export.export_rows():
        pass
    return export


def end(
    manifest: SweepManifest, run: int, score: float | None, time: int, status: RunState = RunState.FINISHED
) -> None:
    """End a run at a time, with a final evaluation or without one."""
    log_writer = RunLogWriter(manifest.folder_of(manifest.runs[run]) / "rows.jsonl")
    final = {} if score is None else {"final/return_mean": score}
    log_writer.append(Row(100, 1.0, time, {"train/return_mean": 1.0} | final))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_log.time, "time_ns", lambda: time * 1_000_000)
        log_writer.end(status, complete=True)


def evaluate(manifest: SweepManifest, run: int, returns: Mapping[int, float], time: int = 1_500) -> None:
    """Append evaluations of a run: returns by steps."""
    log_writer = RunLogWriter(manifest.folder_of(manifest.runs[run]) / "rows.jsonl")
    for steps, value in returns.items():
        log_writer.append(Row(steps, 0.5, time, {"evaluation/return_mean": value}, Phase.EVALUATION))


def configuration(manifest: SweepManifest, name: str = "lr=a") -> Run:
    client = MlflowClient(manifest.tracking.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"attributes.run_name = '{name}' and tags.`pgexp.role` = 'configuration'")
    return run


def aggregates(manifest: SweepManifest, name: str = "lr=a") -> dict[str, float]:
    found = configuration(manifest, name).data.metrics
    return {metric.removeprefix(GROUP): value for metric, value in found.items()}


def points(manifest: SweepManifest, metric: str) -> list[tuple[int, int, float]]:
    history = MlflowClient(manifest.tracking.uri).get_metric_history(
        configuration(manifest).info.run_id, GROUP + metric
    )
    return sorted((point.step, point.timestamp, point.value) for point in history)


def test_iqm_and_mean_of_scores() -> None:
    # Winsorised they are (2, 2, 4, 4): SSD = 4, SE = sqrt(4 / (2 * 1)), and t at .975 with one degree of freedom is
    # 12.7062.
    found = seed_aggregates([1.0, 2.0, 4.0, 13.0], failed=1)
    ends = found.pop("over_seeds/return_low"), found.pop("over_seeds/return_high")
    assert ends == pytest.approx((3 - 12.7062 * 2**0.5, 3 + 12.7062 * 2**0.5), rel=1e-5)
    assert found == {
        "over_seeds/seeds": 4,
        "over_seeds/failed": 1,
        "over_seeds/return_iqm": 3.0,
        "over_seeds/return_mean": 5.0,
    }


def test_aggregates_of_one_and_no_score() -> None:
    assert seed_aggregates([7.0], 0) == {
        "over_seeds/seeds": 1,
        "over_seeds/failed": 0,
        "over_seeds/return_iqm": 7.0,
        "over_seeds/return_mean": 7.0,
    }
    assert seed_aggregates([], 2) == {"over_seeds/seeds": 0, "over_seeds/failed": 2}


def test_aggregates_are_updated_per_seed(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri)
    export = export_all(manifest)
    assert aggregates(manifest) == {}
    end(manifest, 1, 10.0, time=2_000)
    export_all(manifest, export)
    assert aggregates(manifest) == {"seeds": 1, "failed": 0, "return_iqm": 10.0, "return_mean": 10.0}
    end(manifest, 0, 20.0, time=3_000)
    export_all(manifest, export)
    found = aggregates(manifest)
    assert (found["seeds"], found["failed"], found["return_iqm"], found["return_mean"]) == (2, 0, 15.0, 15.0)
    # Student's interval, since below four scores nothing is trimmed: s / sqrt(2) = 5, t with one degree of freedom.
    ends = found["return_low"], found["return_high"]
    assert ends == pytest.approx((15 - 5 * 12.7062, 15 + 5 * 12.7062), rel=1e-5)
    assert points(manifest, "return_iqm") == [(1, 2_000, 10.0), (2, 3_000, 15.0)]
    assert aggregates(manifest, "lr=b") == {}


@pytest.mark.parametrize("together", [True, False])
def test_aggregates_equal_the_comparison(uri: str, make_sweep: MakeSweep, together: bool) -> None:
    manifest = make_sweep(uri, names="a", seeds=range(6))
    for run, score in ((4, 1.25), (0, 130.5), (5, 20.1), (2, 33.3), (3, 80.7), (1, None)):
        end(manifest, run, score, time=2_000 + run)
        if not together:
            export_all(manifest)
    export_all(manifest)
    frame = runs(uri)
    (row,) = summary(frame, metrics(frame, uri)).to_dict("records")
    assert aggregates(manifest) == {
        "seeds": row["n"],
        "failed": 0,
        "return_iqm": row["iqm"],
        "return_mean": row["mean"],
        "return_low": row["iqm_low"],
        "return_high": row["iqm_high"],
    }
    assert row["n"] == 5


def test_failed_seeds_are_counted(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a")
    end(manifest, 0, None, time=2_000, status="FAILED")
    export_all(manifest)
    assert aggregates(manifest) == {"seeds": 0, "failed": 1}
    end(manifest, 1, 5.0, time=3_000)
    export_all(manifest)
    assert aggregates(manifest) == {"seeds": 1, "failed": 1, "return_iqm": 5.0, "return_mean": 5.0}


def test_resumed_seed_is_not_failed(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a", seeds=[0])
    end(manifest, 0, None, time=2_000, status="FAILED")
    export_all(manifest)
    RunLogWriter(manifest.folder_of(manifest.runs[0]) / "rows.jsonl").resumed()
    end(manifest, 0, 5.0, time=9_000)
    export_all(manifest)
    assert aggregates(manifest) == {"seeds": 1, "failed": 0, "return_iqm": 5.0, "return_mean": 5.0}


def test_nonfinite_score_is_ignored(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a", seeds=[0])
    end(manifest, 0, float("nan"), time=2_000)
    export_all(manifest)
    assert aggregates(manifest) == {"seeds": 0, "failed": 0}


def test_repeated_aggregates_exist_once(uri: str, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first export is killed after the call."""
    manifest = make_sweep(uri, names="a")
    for run in (0, 1):
        end(manifest, run, 10.0 * run, time=2_000 + run)
    export, log_batch = SweepExport(manifest), MlflowClient.log_batch
    export.open()
    own_run = configuration(manifest).info.run_id

    def killed(client: MlflowClient, run: str, *arguments: object, **options: object) -> None:
        log_batch(client, run, *arguments, **options)
        if run == own_run:
            raise MlflowException("killed after the call")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", killed)
        with pytest.raises(MlflowException, match="killed"):
            export_all(manifest, export)
    before = {metric: points(manifest, metric) for metric in aggregates(manifest)}
    export_all(manifest)
    assert {metric: points(manifest, metric) for metric in aggregates(manifest)} == before
    assert before["seeds"] == [(2, 2_001, 2.0)]


def test_seed_with_a_lost_folder_counts(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a")
    end(manifest, 0, 10.0, time=2_000)
    export_all(manifest)
    (manifest.folder_of(manifest.runs[0]) / "rows.jsonl").unlink()
    end(manifest, 1, 20.0, time=3_000)
    export_all(manifest)
    assert (aggregates(manifest)["seeds"], aggregates(manifest)["return_mean"]) == (2, 15.0)


def test_seeds_that_are_added_later_count(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a")
    first = replace(manifest, runs=manifest.runs[:1])
    save_manifest(first)
    end(manifest, 0, 10.0, time=2_000)
    export_all(first)
    save_manifest(manifest)
    end(manifest, 1, 20.0, time=3_000)
    export_all(manifest)
    assert points(manifest, "return_mean") == [(1, 2_000, 10.0), (2, 3_000, 15.0)]


def test_curve_has_the_common_steps() -> None:
    # From 20 to 30 with two points as either has: the first seed is interpolated at 20, the second at 30.
    points = dict(aggregate_curve([{10: 1.0, 30: 3.0}, {20: 6.0, 40: 10.0}]))
    assert {steps: at["over_seeds/evaluation_return_iqm"] for steps, at in points.items()} == {20: 4.0, 30: 5.5}
    assert all(at["over_seeds/evaluation_return_low"] < 4.0 for at in points.values())


def test_curve_of_one_and_no_seed() -> None:
    assert list(aggregate_curve([{10: 1.5}])) == [(10, {"over_seeds/evaluation_return_iqm": 1.5})]
    assert list(aggregate_curve([{}])) == list(aggregate_curve([])) == []


def test_curve_equals_the_comparison(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a", seeds=range(3))
    for run, shift in enumerate((0.0, 1.5, 7.0)):
        evaluate(manifest, run, {100 + run: shift, 200 + run: 20 + shift, 300 + run: 25 - shift})
        end(manifest, run, 1.0, time=2_000 + run)
    export_all(manifest)
    curve = curve_frame(frame := runs(uri), metrics(frame, uri))
    assert len(curve) == 3
    for metric, column in (("iqm", "iqm"), ("low", "low"), ("high", "high")):
        expected = [(steps, 2_002, value) for steps, value in zip(curve["steps"], curve[column], strict=True)]
        assert points(manifest, f"evaluation_return_{metric}") == expected


def test_curve_is_logged_once_all_seeds_are_complete(uri: str, make_sweep: MakeSweep) -> None:
    manifest = make_sweep(uri, names="a")
    for run in (0, 1):
        evaluate(manifest, run, {100: 10.0 * run})
    end(manifest, 0, 1.0, time=2_000)
    RunLogWriter(manifest.folder_of(manifest.runs[1]) / "rows.jsonl").end(RunState.KILLED)
    export_all(manifest)
    assert points(manifest, "evaluation_return_iqm") == []
    RunLogWriter(manifest.folder_of(manifest.runs[1]) / "rows.jsonl").resumed()
    evaluate(manifest, 1, {200: 40.0}, time=2_500)
    end(manifest, 1, 1.0, time=3_000)
    for _ in range(2):
        export_all(manifest)
        assert [(steps, value) for steps, _, value in points(manifest, "evaluation_return_iqm")] == [(100, 5.0)]
