"""Exclusion reasons, imputed scores and consistency notes."""

import math
import pickle
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.inclusion import REPEATED, UNSCORED, Note, exclusion_reasons, imputed_scores, run_notes
from pgexp.schema import names
from pgexp.schema.errors import UserError
from pgexp.schema.names import FINAL_RETURN
from tests.comparison.score_frames import configuration, joined
from tests.comparison.seed_frames import seed_runs


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


def runs_with(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows)


def metrics_of(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[["run_id"]].assign(steps=100, metric="loss/policy", value=1.0)


def test_no_notes_on_complete_runs() -> None:
    runs = runs_with(run(0), run(1))
    assert exclusion_reasons(runs).tolist() == ["", ""]
    assert run_notes(runs, metrics_of(runs)) == []


@pytest.mark.parametrize("status", UNSCORED)
def test_a_run_without_a_final_score_is_excluded(status: str) -> None:
    runs = runs_with(run(0), run(1, math.nan, status))
    assert exclusion_reasons(runs).tolist() == ["", UNSCORED[status]]
    assert run_notes(runs, metrics_of(runs)) == [f"Excluded ({UNSCORED[status]}): 1 of 2 runs (lr=1 seed 1)."]


def test_the_newest_scored_run_of_a_seed_counts() -> None:
    runs = runs_with(run(0, 10.0, start=1), run(0, 20.0, start=3), run(0, 30.0, start=2), run(0, math.nan, "FAILED", 4))
    assert exclusion_reasons(runs).tolist() == [REPEATED, "", REPEATED, UNSCORED["FAILED"]]
    assert f"Excluded ({REPEATED}): 2 of 4 runs (lr=1 seed 0, lr=1 seed 0)." in run_notes(runs, metrics_of(runs))


def test_equal_seeds_of_two_configurations_count() -> None:
    runs = runs_with(run(0), run(0, start=1) | {"configuration": "other"})
    assert exclusion_reasons(runs).tolist() == ["", ""]


def test_a_scored_run_counts_with_any_status() -> None:
    runs = runs_with(run(0, status="KILLED"), run(1))
    assert exclusion_reasons(runs).tolist() == ["", ""]
    (note,) = run_notes(runs, metrics_of(runs))
    assert (note.kind, "1 of 2 runs (lr=1 seed 0)" in note) == ("unfinished", True)


def test_a_run_without_its_artifact_is_named() -> None:
    runs = runs_with(run(0), run(1))
    (note,) = run_notes(runs, metrics_of(runs.iloc[:1]))
    assert note.kind == "no_table"
    assert note.endswith("1 of 2 runs (lr=1 seed 1).")


def test_notes_list_at_most_five_runs() -> None:
    runs = runs_with(*(run(seed, math.nan, "FAILED") for seed in range(8)))
    (note,) = run_notes(runs, metrics_of(runs))
    assert note.endswith("8 of 8 runs (lr=1 seed 0, lr=1 seed 1, lr=1 seed 2, lr=1 seed 3, lr=1 seed 4, and 3 more).")


def test_a_repeated_index_is_rejected() -> None:
    runs = pd.concat([seed_runs({"a": [1.0, 2.0]}), seed_runs({"b": [3.0]})])
    with pytest.raises(UserError, match="must be unique"):
        exclusion_reasons(runs)
    assert exclusion_reasons(runs.reset_index(drop=True)).tolist() == ["", "", ""]


def scores(runs: pd.DataFrame) -> list[tuple[str, int, float, bool]]:
    rows = imputed_scores(runs)
    columns = ["configuration_name", "seed", "score", "failed"]
    return list(rows[columns].itertuples(index=False, name=None))


def test_a_failed_run_gets_the_worst_score() -> None:
    runs = joined(
        configuration([30.0, None], baseline="a"),
        configuration([-5.0, 50.0], baseline="b"),
        configuration([-80.0, None], environment="Acrobot-v1", baseline="a"),
    )
    assert scores(runs) == [
        ("baseline=a", 0, 30, False),
        ("baseline=a", 1, -5, True),
        ("baseline=b", 0, -5, False),
        ("baseline=b", 1, 50, False),
        ("baseline=a", 0, -80, False),
        ("baseline=a", 1, -80, True),
    ]


def test_a_nonfinite_score_is_a_failed_run() -> None:
    runs = configuration([1.0, 2.0, -np.inf, np.inf], baseline="a")
    assert [row[2:] for row in scores(runs)] == [(1, False), (2, False), (1, True), (1, True)]


def test_unfinished_runs_get_no_score() -> None:
    runs = configuration([1.0, None, None, None, None], baseline="a")
    runs["status"] = ["KILLED", "RUNNING", "SCHEDULED", "KILLED", "FINISHED"]
    assert [row[1] for row in scores(runs)] == [0], "a killed run with a score counts"


def test_a_seed_with_a_failed_and_a_scored_run() -> None:
    again = configuration([7.0], sweep="later", baseline="a")
    runs = joined(configuration([None, 3.0], baseline="a"), again, configuration([None], sweep="last", baseline="a"))
    runs["start"] += pd.to_timedelta(range(len(runs)), unit="h")
    assert scores(runs) == [("baseline=a", 1, 3, False), ("baseline=a", 0, 7, False)]


def test_a_seed_that_failed_twice_counts_once() -> None:
    runs = joined(configuration([None, 3.0], baseline="a"), configuration([None], sweep="later", baseline="a"))
    assert [row[1] for row in sorted(scores(runs))] == [0, 1]


def test_no_imputed_scores_without_any_score() -> None:
    assert imputed_scores(configuration([None, None], baseline="a")).empty
    assert imputed_scores(configuration([1.0], baseline="a").iloc[:0]).empty


def test_imputed_scores_leave_the_frame_unchanged() -> None:
    runs = configuration([1.0, None], baseline="a")
    before = runs.copy()
    imputed_scores(runs)
    pd.testing.assert_frame_equal(runs, before)
    assert FINAL_RETURN in imputed_scores(runs)


def test_a_missing_score_after_an_evaluation_is_a_failure() -> None:
    runs = configuration([1.0, None], baseline="a").assign(**{"final/episode_length_mean": 7.0})
    runs["status"] = "FINISHED"
    assert scores(runs)[1] == ("baseline=a", 1, 1, True)


METRIC = ["run_id", "steps", "metric", "value"]


def runs_of(count: int = 4, **columns: Sequence[object]) -> pd.DataFrame:
    """Return `count` consistent runs, except for the given columns."""
    regular: dict[str, object] = {
        "run_id": [f"r{number}" for number in range(count)],
        "environment": "CartPole-v1",
        "configuration": [f"k{number % 2}" for number in range(count)],
        "configuration_name": [f"lr={number % 2}" for number in range(count)],
        "seed": [number // 2 for number in range(count)],
        "status": "FINISHED",
        "start": [pd.Timestamp(number, unit="s") for number in range(count)],
        names.FINAL_RETURN: 1.0,
        "code": "c0de",
        "dirty": False,
        "nonfinite": math.nan,
        "param.budget.steps": 100,
        "param.evaluation.every": 50,
        "param.evaluation.greedy": False,
        "param.evaluation.final_episodes": 100,
    }
    return pd.DataFrame(regular | columns)


def evaluated(runs: pd.DataFrame, *steps: Sequence[int]) -> pd.DataFrame:
    """Return evaluations at these steps, of each run or of all runs."""
    each = steps if len(steps) > 1 else steps * len(runs)
    rows = [
        (run, step, names.EVALUATION_RETURN, 1.0) for run, own in zip(runs["run_id"], each, strict=True) for step in own
    ]
    return pd.DataFrame(rows, columns=METRIC).astype({"run_id": "category", "metric": "category"})


def notes_by_kind(runs: pd.DataFrame, *steps: Sequence[int]) -> dict[str, str]:
    """Return the notes by their kinds."""
    return {note.kind: note for note in run_notes(runs, evaluated(runs, *(steps or ([50, 100],))))}


def test_no_notes_on_consistent_runs() -> None:
    assert notes_by_kind(runs_of()) == {}


def test_a_note_keeps_its_kind_when_copied() -> None:
    note = Note("code", "Two versions.")
    assert note == "Two versions."
    copy = pickle.loads(pickle.dumps(note))
    assert (copy, copy.kind) == ("Two versions.", "code")


@pytest.mark.parametrize(
    ("column", "values", "kind", "fragment"),
    [
        (
            "param.evaluation.greedy",
            [True, False, True, True],
            "evaluation",
            "evaluation.greedy is True (3 runs), False (1 run)",
        ),
        (
            "param.evaluation.final_episodes",
            [20, 20, 100, 100],
            "evaluation",
            "final_episodes is 20 (2 runs), 100 (2 runs)",
        ),
        ("param.evaluation.every", [50, 50, math.nan, 50], "grid", "evaluation.every is 50.0 (3 runs), None (1 run)"),
        ("param.budget.steps", [100, 100, 80, 100], "budget", "budget.steps is 100 (3 runs), 80 (1 run)"),
        (
            "code",
            ["0123456789", "0123456789", "abcdefghij", ""],
            "code",
            "2 versions of the code: 01234567 (2 runs), abcdefgh (1 run)",
        ),
        ("dirty", [True, None, False, True], "dirty", "2 of 4 runs (lr=0 seed 0, lr=1 seed 1)"),
        ("nonfinite", [math.nan, 0, 3, 1], "nonfinite_values", "2 of 4 runs (lr=0 seed 1, lr=1 seed 1)"),
    ],
)
def test_inconsistencies(column: str, values: Sequence[object], kind: str, fragment: str) -> None:
    notes = notes_by_kind(runs_of(**{column: values}))
    assert set(notes) == {kind}
    assert fragment in notes[kind]


def test_settings_may_differ_between_environments() -> None:
    environments = ["CartPole-v1", "Acrobot-v1"] * 2
    runs = runs_of(environment=environments, **{"param.budget.steps": [100, 80] * 2})
    assert notes_by_kind(runs) == {}


def test_excluded_runs_cause_no_inconsistency() -> None:
    runs = runs_of(5, code=["c0de"] * 4 + ["other"], status=["FINISHED"] * 4 + ["FAILED"])
    runs.loc[4, names.FINAL_RETURN] = math.nan
    assert set(notes_by_kind(runs)) == {"failed", "missing"}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nonfinite_metrics(value: float) -> None:
    runs = runs_of()
    metrics = evaluated(runs, [50, 100])
    metrics.loc[0, "value"] = value
    (note,) = run_notes(runs, metrics)
    assert note.kind == "nonfinite_values"
    assert note.endswith("1 of 4 runs (lr=0 seed 0).")


def test_runs_shorter_than_their_budget() -> None:
    notes = notes_by_kind(runs_of(), [50, 100], [50, 100], [50, 99], [50, 100])
    assert notes["short"].endswith("1 of 4 runs (lr=0 seed 1).")


def test_lengths_that_differ_by_more_than_a_hundredth() -> None:
    assert "length" not in notes_by_kind(runs_of(), [50, 100], [50, 101], [50, 100], [50, 100])
    notes = notes_by_kind(runs_of(), [50, 100], [50, 102], [50, 100], [50, 1100])
    assert "100 to 1,100 steps" in notes["length"]


def test_different_evaluation_steps() -> None:
    notes = notes_by_kind(runs_of(), [50, 100], [57, 101], [50, 100], [52, 100])
    assert set(notes) == {"steps"}
    assert "up to 7 between runs" in notes["steps"]


def test_a_missing_evaluation() -> None:
    notes = notes_by_kind(runs_of(), [50, 100], [50, 100], [100], [50, 100])
    assert set(notes) == {"evaluations"}
    assert "1 of 4 runs (lr=0 seed 1)" in notes["evaluations"]


def test_missing_seeds() -> None:
    notes = notes_by_kind(runs_of(3))
    assert set(notes) == {"missing"}
    assert notes["missing"].endswith("1 run (lr=1 seed 1).")


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_nonfinite_score_does_not_count(score: float) -> None:
    runs = runs_of(**{names.FINAL_RETURN: [score, 1.0, 2.0, 3.0], "final/episode_length_mean": 9.0})
    notes = notes_by_kind(runs)
    assert set(notes) == {"nonfinite_score"}
    assert notes["nonfinite_score"].endswith("1 of 4 runs (lr=0 seed 0).")


def test_missing_columns_cause_no_notes() -> None:
    runs = runs_of()[["run_id", "configuration", "configuration_name", "environment", "seed", "status", "start"]]
    assert notes_by_kind(runs.assign(**{names.FINAL_RETURN: 1.0})) == {}


@pytest.mark.parametrize("parameter", ["max_episode_steps", "kwargs.gravity", "wrappers.0.noop_max"])
def test_different_settings_of_an_environment(parameter: str) -> None:
    column = f"param.env.{parameter}"
    text = notes_by_kind(runs_of(**{column: [200, 200, 500, None]}))["environment"]
    assert f"env.{parameter} is 200.0 (2 runs), 500.0 (1 run), None (1 run)" in text
    assert notes_by_kind(runs_of(**{column: [200] * 4})) == {}
    assert notes_by_kind(runs_of(**{column: [1, 2, 1, 2], "environment": ["A-v0", "B-v0"] * 2})) == {}
