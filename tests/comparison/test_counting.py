import math

import pandas as pd
import pytest

from pgexp.comparison.counting import REPEATED, UNSCORED, exclusions, notes
from pgexp.comparison.store import ComparisonError
from pgexp.schema.names import FINAL_RETURN
from tests.comparison.by_hand import seed_runs


def run(seed: int, score: float = 1.0, status: str = "FINISHED", start: int = 0) -> dict[str, object]:
    return {
        "run_id": f"r{seed}-{start}",
        "environment": "CartPole-v1",
        "configuration": "k",
        "configuration_name": "lr=1",
        "seed": seed,
        "status": status,
        "start": pd.Timestamp(start, unit="s"),
        FINAL_RETURN: score,
    }


def of(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows)


def metrics_of(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[["run_id"]].assign(steps=100, metric="loss/policy", value=1.0)


def test_what_is_whole_needs_no_note() -> None:
    runs = of(run(0), run(1))
    assert exclusions(runs).tolist() == ["", ""]
    assert notes(runs, metrics_of(runs)) == []


@pytest.mark.parametrize("status", UNSCORED)
def test_a_run_without_a_final_score_is_left_out_and_named(status: str) -> None:
    runs = of(run(0), run(1, math.nan, status))
    assert exclusions(runs).tolist() == ["", UNSCORED[status]]
    assert notes(runs, metrics_of(runs)) == [f"Left out as {UNSCORED[status]}: 1 of 2 runs (lr=1 seed 1)."]


def test_of_a_repeated_seed_the_newest_scored_run_counts() -> None:
    runs = of(run(0, 10.0, start=1), run(0, 20.0, start=3), run(0, 30.0, start=2), run(0, math.nan, "FAILED", 4))
    assert exclusions(runs).tolist() == [REPEATED, "", REPEATED, UNSCORED["FAILED"]]
    assert f"Left out as {REPEATED}: 2 of 4 runs (lr=1 seed 0, lr=1 seed 0)." in notes(runs, metrics_of(runs))


def test_the_same_seed_of_another_configuration_is_no_repetition() -> None:
    runs = of(run(0), run(0, start=1) | {"configuration": "other"})
    assert exclusions(runs).tolist() == ["", ""]


def test_a_scored_run_counts_however_it_ended_and_is_named() -> None:
    runs = of(run(0, status="KILLED"), run(1))
    assert exclusions(runs).tolist() == ["", ""]
    assert notes(runs, metrics_of(runs)) == ["Counted though not marked as finished: 1 of 2 runs (lr=1 seed 0)."]


def test_a_counted_run_without_its_artifact_is_named() -> None:
    runs = of(run(0), run(1))
    (note,) = notes(runs, metrics_of(runs.iloc[:1]))
    assert note.startswith("Without metrics.parquet")
    assert note.endswith("1 of 2 runs (lr=1 seed 1).")


def test_many_runs_are_counted_rather_than_listed() -> None:
    runs = of(*(run(seed, math.nan, "FAILED") for seed in range(8)))
    (note,) = notes(runs, metrics_of(runs))
    assert note.endswith("8 of 8 runs (lr=1 seed 0, lr=1 seed 1, lr=1 seed 2, lr=1 seed 3, lr=1 seed 4, and 3 more).")


def test_rows_that_share_an_index_are_refused() -> None:
    runs = pd.concat([seed_runs({"a": [1.0, 2.0]}), seed_runs({"b": [3.0]})])
    with pytest.raises(ComparisonError, match="share an index"):
        exclusions(runs)
    assert exclusions(runs.reset_index(drop=True)).tolist() == ["", "", ""]
