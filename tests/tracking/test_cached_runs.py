"""Cached runs of a sweep: they exist once in the store, and count as members of the sweep."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.comparison import frames
from pgexp.comparison.summary import summary
from pgexp.runs.manifest import CachedRun, SweepManifest, load_manifest, save_manifest
from pgexp.runs.run_log import Phase, Row, RunLogWriter, RunState
from pgexp.tracking.client import MlflowClient, Run, connect
from pgexp.tracking.export import SweepExport
from pgexp.tracking.locate import locate_sweep

MakeSweep = Callable[..., SweepManifest]
SCORES = {"record-a-0": 10.0, "record-a-1": 20.0, "record-b-0": 5.0}


@pytest.fixture
def old(uri: str, make_sweep: MakeSweep) -> SweepManifest:
    """A sweep of configuration a with seeds 0 and 1, and of b with seed 0, which has finished."""
    made = make_sweep(uri)
    manifest = replace(made, runs=made.runs[:3])
    save_manifest(manifest)
    train(manifest)
    return manifest


@pytest.fixture
def new(old: SweepManifest, make_sweep: MakeSweep, tmp_path: Path) -> SweepManifest:
    """A sweep of configuration a with seeds 0 to 2, and of b with seed 0; all but one run of the old one's."""
    return extended(old, make_sweep, tmp_path / "new")


def extended(old: SweepManifest, make_sweep: MakeSweep, folder: Path) -> SweepManifest:
    cached = tuple(
        CachedRun(
            folder=str(old.folder_of(run)),
            record=run.record,
            name=run.name,
            key=run.key,
            configuration=run.configuration,
            configuration_name=f"gamma=0.5 {run.configuration_name}",
            seed=run.seed,
            params=run.params,
            score=SCORES[run.record],
        )
        for run in old.runs
    )
    added = replace(
        old.runs[0],
        record="record-a-2",
        folder="2",
        name="lr=a seed=2",
        seed=2,
        params=old.runs[0].params | {"seed": 2},
        configuration_name="gamma=0.5 lr=a",
    )
    manifest = replace(old, folder=folder, sweep="sweep-2", name="new", runs=(added,), cached=cached)
    save_manifest(manifest)
    return manifest


def train(manifest: SweepManifest, score: float = 30.0) -> None:
    """End the runs of a manifest, and export them."""
    for run in manifest.runs:
        log_writer = RunLogWriter(manifest.folder_of(run) / "rows.jsonl")
        log_writer.append(Row(100, 1.0, 1_000, {"final/return_mean": SCORES.get(run.record, score)}, Phase.FINAL))
        log_writer.end(RunState.FINISHED, complete=True)
        (manifest.folder_of(run) / "config.json").write_text("{}")
    export_all(manifest)


def export_all(manifest: SweepManifest) -> SweepExport:
    export = SweepExport(manifest)
    export.open()
    for _ in export.export_rows():
        pass
    return export


def all_runs(client: MlflowClient) -> list[Run]:
    return [*client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])]


def by_name(manifest: SweepManifest, sweep: str) -> dict[str, Run]:
    found = all_runs(connect(manifest.tracking.uri))
    return {run.info.run_name: run for run in found if run.data.tags["pgexp.sweep"] == sweep}


def test_cached_run_is_a_member_of_both_sweeps(old: SweepManifest, new: SweepManifest) -> None:
    before = by_name(old, "sweep-1")
    train(new)
    after = by_name(old, "sweep-1")
    assert after.keys() == before.keys()
    for name in ("lr=a seed=0", "lr=a seed=1", "lr=b seed=0"):
        assert after[name].data.tags == before[name].data.tags | {"pgexp.sweep.sweep-2": "reused"}
        assert after[name].info.end_time == before[name].info.end_time
    found = by_name(new, "sweep-2")
    assert found.keys() == {"new", "gamma=0.5 lr=a", "gamma=0.5 lr=b", "lr=a seed=2"}
    assert {run.info.status for run in found.values()} == {"FINISHED"}


def test_aggregates_include_cached_seeds(old: SweepManifest, new: SweepManifest) -> None:
    export_all(new)
    found = by_name(new, "sweep-2")
    early = found["gamma=0.5 lr=a"].data.metrics
    assert (early["over_seeds/seeds"], early["over_seeds/return_mean"]) == (2, 15.0)
    assert found["gamma=0.5 lr=b"].data.metrics["over_seeds/return_iqm"] == 5.0
    assert found["gamma=0.5 lr=b"].info.status == "FINISHED"
    train(new)
    late = by_name(new, "sweep-2")["gamma=0.5 lr=a"].data.metrics
    assert (late["over_seeds/seeds"], late["over_seeds/return_mean"]) == (3, 20.0)


def test_comparison_includes_cached_seeds(old: SweepManifest, new: SweepManifest) -> None:
    train(new)
    uri = new.tracking.uri
    seeds = frames.runs(uri, sweeps="sweep-2")
    assert seeds[["configuration_name", "seed", "final/return_mean"]].to_numpy().tolist() == [
        ["gamma=0.5 lr=a", 0, 10.0],
        ["gamma=0.5 lr=a", 1, 20.0],
        ["gamma=0.5 lr=a", 2, 30.0],
        ["gamma=0.5 lr=b", 0, 5.0],
    ]
    row = summary(seeds, frames.metrics(seeds, uri)).to_dict("records")[0]
    metrics = by_name(new, "sweep-2")["gamma=0.5 lr=a"].data.metrics
    assert (row["iqm_low"], row["iqm_high"]) == (metrics["over_seeds/return_low"], metrics["over_seeds/return_high"])
    assert len(frames.runs(uri, sweeps="sweep-1")) == 3
    assert len(frames.runs(uri)) == 4


def test_located_sweep_has_its_cached_runs(old: SweepManifest, new: SweepManifest) -> None:
    train(new)
    expected = {new.folder / "2", *(old.folder_of(run) for run in old.runs)}
    with locate_sweep(str(new.folder), "") as found:
        assert set(found.runs) == expected
    with locate_sweep("sweep-2", new.tracking.uri) as found:
        assert set(found.runs) == expected


def test_second_export_writes_nothing(old: SweepManifest, new: SweepManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    train(new)
    before = all_runs(connect(new.tracking.uri))

    def fail(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the second export wrote something")

    for call in ("set_tag", "set_terminated", "create_run", "update_run"):
        monkeypatch.setattr(MlflowClient, call, fail)
    assert export_all(new).is_over
    assert [run.to_dictionary() for run in all_runs(connect(new.tracking.uri))] == [
        run.to_dictionary() for run in before
    ]


@pytest.mark.parametrize("is_purged", [True, False])
def test_deleted_cached_run_is_ignored(old: SweepManifest, new: SweepManifest, is_purged: bool) -> None:
    store = connect(new.tracking.uri)._tracking_client.store
    lost = by_name(old, "sweep-1")["lr=a seed=0"].info.run_id
    store.delete_run(lost)
    if is_purged:
        store._hard_delete_run(lost)
    train(new)
    metrics = by_name(new, "sweep-2")["gamma=0.5 lr=a"].data.metrics
    assert (metrics["over_seeds/seeds"], metrics["over_seeds/return_mean"]) == (2, 25.0)
    assert frames.runs(new.tracking.uri, sweeps="sweep-2")["seed"].tolist() == [1, 2, 0]


def test_sweep_of_cached_runs_is_over_at_once(old: SweepManifest, new: SweepManifest) -> None:
    manifest = replace(new, runs=())
    save_manifest(manifest)
    assert export_all(manifest).is_over
    assert {run.info.status for run in by_name(new, "sweep-2").values()} == {"FINISHED"}
    assert len(frames.runs(new.tracking.uri, sweeps="sweep-2")) == 3


def test_manifest_preserves_cached_runs(new: SweepManifest) -> None:
    assert load_manifest(new.folder) == new


def test_single_run_has_no_cached_runs(new: SweepManifest) -> None:
    with pytest.raises(ValueError, match="must not have cached runs"):
        replace(new, sweep=None)


def test_run_is_trained_or_cached(new: SweepManifest) -> None:
    with pytest.raises(ValueError, match="have the same record"):
        replace(new, runs=(replace(new.runs[0], record="record-a-1"),))
