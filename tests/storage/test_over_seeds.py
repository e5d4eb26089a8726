"""What a configuration's run in MLflow says of its seeds, and that the comparison's table says the same."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from pgexp.comparison.curves import curve_frame
from pgexp.comparison.frames import metrics, runs
from pgexp.comparison.summary import summary
from pgexp.storage import spool as spool_module
from pgexp.storage.mlflow_client import MlflowClient, MlflowException, Run
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.over_seeds import curve_over_seeds, over_seeds
from pgexp.storage.record import Record, write
from pgexp.storage.spool import Row, SpoolWriter, Status

MakeRecord = Callable[..., Record]
GROUP = "over_seeds/"


def brought(record: Record, sink: MlflowSink | None = None) -> MlflowSink:
    """Bring over, by a new sink where none is given, what there is."""
    if sink is None:
        sink = MlflowSink(record)
        sink.open()
    for _ in sink.drain():
        pass
    return sink


def end(record: Record, run: int, score: float | None, time: int, status: Status = "FINISHED") -> None:
    """Let a run come to its end at a time, with a final evaluation or without one."""
    spool = SpoolWriter(record.folder_of(record.runs[run]) / "rows.jsonl")
    final = {} if score is None else {"final/return_mean": score}
    spool.append(Row(100, 1.0, time, {"train/return_mean": 1.0} | final))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_module.time, "time_ns", lambda: time * 1_000_000)
        spool.end(status, complete=True)


def evaluate(record: Record, run: int, returns: Mapping[int, float], time: int = 1_500) -> None:
    """Let a run be evaluated at some steps."""
    spool = SpoolWriter(record.folder_of(record.runs[run]) / "rows.jsonl")
    for steps, value in returns.items():
        spool.append(Row(steps, 0.5, time, {"evaluation/return_mean": value}))


def configuration(record: Record, name: str = "lr=a") -> Run:
    client = MlflowClient(record.tracking.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"attributes.run_name = '{name}' and tags.`pgexp.role` = 'configuration'")
    return run


def said(record: Record, name: str = "lr=a") -> dict[str, float]:
    found = configuration(record, name).data.metrics
    return {metric.removeprefix(GROUP): value for metric, value in found.items()}


def points(record: Record, metric: str) -> list[tuple[int, int, float]]:
    history = MlflowClient(record.tracking.uri).get_metric_history(configuration(record).info.run_id, GROUP + metric)
    return sorted((point.step, point.timestamp, point.value) for point in history)


def test_the_iqm_leaves_out_a_quarter_at_each_end_and_the_mean_does_not() -> None:
    # Winsorised they are (2, 2, 4, 4): SSD = 4, SE = sqrt(4 / (2 * 1)), and t at .975 with one degree of freedom is
    # 12.7062.
    found = over_seeds([1.0, 2.0, 4.0, 13.0], failed=1)
    ends = found.pop("over_seeds/return_low"), found.pop("over_seeds/return_high")
    assert ends == pytest.approx((3 - 12.7062 * 2**0.5, 3 + 12.7062 * 2**0.5), rel=1e-5)
    assert found == {
        "over_seeds/seeds": 4,
        "over_seeds/failed": 1,
        "over_seeds/return_iqm": 3.0,
        "over_seeds/return_mean": 5.0,
    }


def test_a_single_score_has_no_interval_and_none_has_nothing() -> None:
    assert over_seeds([7.0], 0) == {
        "over_seeds/seeds": 1,
        "over_seeds/failed": 0,
        "over_seeds/return_iqm": 7.0,
        "over_seeds/return_mean": 7.0,
    }
    assert over_seeds([], 2) == {"over_seeds/seeds": 0, "over_seeds/failed": 2}


def test_each_seed_that_ends_adds_to_its_configuration(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri)
    sink = brought(record)
    assert said(record) == {}
    end(record, 1, 10.0, time=2_000)
    brought(record, sink)
    assert said(record) == {"seeds": 1, "failed": 0, "return_iqm": 10.0, "return_mean": 10.0}
    end(record, 0, 20.0, time=3_000)
    brought(record, sink)
    found = said(record)
    assert (found["seeds"], found["failed"], found["return_iqm"], found["return_mean"]) == (2, 0, 15.0, 15.0)
    # Student's interval, since below four scores nothing is trimmed: s / sqrt(2) = 5, t with one degree of freedom.
    ends = found["return_low"], found["return_high"]
    assert ends == pytest.approx((15 - 5 * 12.7062, 15 + 5 * 12.7062), rel=1e-5)
    assert points(record, "return_iqm") == [(1, 2_000, 10.0), (2, 3_000, 15.0)]
    assert said(record, "lr=b") == {}


@pytest.mark.parametrize("together", [True, False])
def test_it_is_what_the_comparison_s_table_shows(uri: str, make_record: MakeRecord, together: bool) -> None:
    record = make_record(uri, names="a", seeds=range(6))
    for run, score in ((4, 1.25), (0, 130.5), (5, 20.1), (2, 33.3), (3, 80.7), (1, None)):
        end(record, run, score, time=2_000 + run)
        if not together:
            brought(record)
    brought(record)
    frame = runs(uri)
    (row,) = summary(frame, metrics(frame, uri)).to_dict("records")
    assert said(record) == {
        "seeds": row["n"],
        "failed": 0,
        "return_iqm": row["iqm"],
        "return_mean": row["mean"],
        "return_low": row["iqm_low"],
        "return_high": row["iqm_high"],
    }
    assert row["n"] == 5


def test_seeds_that_failed_are_counted_by_themselves(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a")
    end(record, 0, None, time=2_000, status="FAILED")
    brought(record)
    assert said(record) == {"seeds": 0, "failed": 1}
    end(record, 1, 5.0, time=3_000)
    brought(record)
    assert said(record) == {"seeds": 1, "failed": 1, "return_iqm": 5.0, "return_mean": 5.0}


def test_a_failed_seed_that_was_resumed_and_finished_is_no_failed_one(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a", seeds=[0])
    end(record, 0, None, time=2_000, status="FAILED")
    brought(record)
    SpoolWriter(record.folder_of(record.runs[0]) / "rows.jsonl").resumed()
    end(record, 0, 5.0, time=9_000)
    brought(record)
    assert said(record) == {"seeds": 1, "failed": 0, "return_iqm": 5.0, "return_mean": 5.0}


def test_a_score_that_is_not_finite_is_none(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a", seeds=[0])
    end(record, 0, float("nan"), time=2_000)
    brought(record)
    assert said(record) == {"seeds": 0, "failed": 0}


def test_what_a_second_sink_says_again_stands_once(
    uri: str, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is killed right behind the call."""
    record = make_record(uri, names="a")
    for run in (0, 1):
        end(record, run, 10.0 * run, time=2_000 + run)
    sink, log_batch = MlflowSink(record), MlflowClient.log_batch
    sink.open()
    ours = configuration(record).info.run_id

    def killed(client: MlflowClient, run: str, *given: object, **named: object) -> None:
        log_batch(client, run, *given, **named)
        if run == ours:
            raise MlflowException("killed behind the call")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", killed)
        with pytest.raises(MlflowException, match="killed"):
            brought(record, sink)
    before = {metric: points(record, metric) for metric in said(record)}
    brought(record)
    assert {metric: points(record, metric) for metric in said(record)} == before
    assert before["seeds"] == [(2, 2_001, 2.0)]


def test_a_seed_whose_folder_is_lost_counts_as_the_store_has_it(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a")
    end(record, 0, 10.0, time=2_000)
    brought(record)
    (record.folder_of(record.runs[0]) / "rows.jsonl").unlink()
    end(record, 1, 20.0, time=3_000)
    brought(record)
    assert (said(record)["seeds"], said(record)["return_mean"]) == (2, 15.0)


def test_seeds_that_are_added_later_count_with_those_before(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a")
    first = replace(record, runs=record.runs[:1])
    write(first)
    end(record, 0, 10.0, time=2_000)
    brought(first)
    write(record)
    end(record, 1, 20.0, time=3_000)
    brought(record)
    assert points(record, "return_mean") == [(1, 2_000, 10.0), (2, 3_000, 15.0)]


def test_a_curve_is_of_the_steps_that_the_seeds_share() -> None:
    # From 20 to 30 with two points as either has: the first seed is interpolated at 20, the second at 30.
    points = dict(curve_over_seeds([{10: 1.0, 30: 3.0}, {20: 6.0, 40: 10.0}]))
    assert {steps: at["over_seeds/evaluation_return_iqm"] for steps, at in points.items()} == {20: 4.0, 30: 5.5}
    assert all(at["over_seeds/evaluation_return_low"] < 4.0 for at in points.values())


def test_a_curve_of_one_seed_has_no_interval_and_of_none_no_points() -> None:
    assert list(curve_over_seeds([{10: 1.5}])) == [(10, {"over_seeds/evaluation_return_iqm": 1.5})]
    assert list(curve_over_seeds([{}])) == list(curve_over_seeds([])) == []


def test_a_configuration_s_curve_is_the_comparison_s(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a", seeds=range(3))
    for run, shift in enumerate((0.0, 1.5, 7.0)):
        evaluate(record, run, {100 + run: shift, 200 + run: 20 + shift, 300 + run: 25 - shift})
        end(record, run, 1.0, time=2_000 + run)
    brought(record)
    curve = curve_frame(frame := runs(uri), metrics(frame, uri))
    assert len(curve) == 3
    for metric, column in (("iqm", "iqm"), ("low", "low"), ("high", "high")):
        expected = [(steps, 2_002, value) for steps, value in zip(curve["steps"], curve[column], strict=True)]
        assert points(record, f"evaluation_return_{metric}") == expected


def test_a_curve_waits_until_no_seed_can_go_on_and_stands_once(uri: str, make_record: MakeRecord) -> None:
    record = make_record(uri, names="a")
    for run in (0, 1):
        evaluate(record, run, {100: 10.0 * run})
    end(record, 0, 1.0, time=2_000)
    SpoolWriter(record.folder_of(record.runs[1]) / "rows.jsonl").end("KILLED")
    brought(record)
    assert points(record, "evaluation_return_iqm") == []
    SpoolWriter(record.folder_of(record.runs[1]) / "rows.jsonl").resumed()
    evaluate(record, 1, {200: 40.0}, time=2_500)
    end(record, 1, 1.0, time=3_000)
    for _ in range(2):
        brought(record)
        assert [(steps, value) for steps, _, value in points(record, "evaluation_return_iqm")] == [(100, 5.0)]
