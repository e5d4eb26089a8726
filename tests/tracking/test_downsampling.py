import pytest

from pgexp.runs.run_log import Phase, Row
from pgexp.tracking.downsampling import Downsampler


def training(progress: float, **others: float) -> Row:
    return Row(round(100 * progress), progress, 0, {"train/return_mean": progress, **others})


def chosen_progress(points: int, progresses: list[float]) -> list[float]:
    downsampler = Downsampler(points)
    chosen = [row.progress for row in map(training, progresses) if downsampler.choose(row)]
    return chosen + [row.progress for row, _, _ in downsampler.rest()]


@pytest.mark.parametrize(
    ("points", "progresses", "expected"),
    [
        (3, [0.1, 0.2, 0.4, 0.5, 0.6, 0.9], [0.1, 0.5, 0.9]),
        (3, [0.1, 0.2, 0.5, 1.0], [0.1, 0.5, 1.0]),
        (5, [0.2, 0.3, 0.8], [0.2, 0.3, 0.8]),
        (2, [0.1, 0.2, 0.3], [0.1, 0.3]),
        (1, [0.1, 0.2, 0.3], [0.3]),
        (10, [0.25], [0.25]),
        (10, [], []),
    ],
)
def test_first_row_of_each_part_and_the_last_row(points: int, progresses: list[float], expected: list[float]) -> None:
    assert chosen_progress(points, progresses) == expected


@pytest.mark.parametrize("points", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("rows", [1, 6, 49, 50, 51, 1_000])
@pytest.mark.parametrize("end", [0.7, 1.0, 1.3])
def test_curve_has_at_most_max_points(points: int, rows: int, end: float) -> None:
    progresses = [end * (row + 1) / rows for row in range(rows)]
    if end > 1:  # at most one batch exceeds the budget
        progresses = [*(progress / end for progress in progresses[:-1] if progress < end), end]
    found = chosen_progress(points, progresses)
    assert len(found) <= points
    assert found[-1] == progresses[-1]


def test_evaluations_have_separate_curves() -> None:
    downsampler = Downsampler(max_points=2)
    downsampler.choose(training(0.1))
    first, second = ({"evaluation/return_mean": value} for value in (3.0, 4.0))
    assert downsampler.choose(Row(15, 0.15, 0, first, Phase.EVALUATION)) == first
    assert downsampler.choose(Row(20, 0.2, 0, second, Phase.EVALUATION)) == {}
    assert downsampler.choose(training(0.3)) == {}
    final = {"final/return_mean": 4.0}
    assert downsampler.choose(Row(30, 0.3, 0, final, Phase.FINAL)) == final
    assert [(name, value) for _, name, value in downsampler.rest()] == [
        ("evaluation/return_mean", 4.0),
        ("train/return_mean", 0.3),
    ]


def test_other_metrics_have_their_last_value() -> None:
    downsampler = Downsampler(max_points=50, metrics=["train/*", "absent/metric"])
    rows = [training(progress, **{"policy/kl": progress}) for progress in (0.1, 0.2)]
    rows.append(training(0.3))  # without the other metric
    assert [[*downsampler.choose(row)] for row in rows] == 3 * [["train/return_mean"]]
    assert [(row, name, value) for row, name, value in downsampler.rest() if name == "policy/kl"] == [
        (rows[1], "policy/kl", 0.2)
    ]
    assert [*downsampler.rest()] == [], "once"


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["all"], {"train/return_mean", "loss/policy"}),
        (["*"], {"train/return_mean", "loss/policy"}),
        (["loss/*"], {"loss/policy"}),
        (["loss/policy"], {"loss/policy"}),
        ([], set()),
    ],
)
def test_curves_are_chosen_by_name_or_pattern(patterns: list[str], expected: set[str]) -> None:
    assert Downsampler(50, patterns).choose(training(0.1, **{"loss/policy": 1.0})).keys() == expected
