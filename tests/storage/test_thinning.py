import pytest

from pgexp.storage.spool import Row
from pgexp.storage.thinning import Thinning


def training(progress: float, **others: float) -> Row:
    return Row(round(100 * progress), progress, 0, {"train/return_mean": progress, **others})


def shown(points: int, progresses: list[float]) -> list[float]:
    thinning = Thinning(points)
    rows = [training(progress) for progress in progresses]
    chosen = [row.progress for row in rows if thinning.choose(row)]
    rest = thinning.rest()
    return chosen + ([rest[0].progress] if rest else [])


@pytest.mark.parametrize(
    ("points", "progresses", "expected"),
    [
        (2, [0.1, 0.2, 0.4, 0.5, 0.6, 0.9], [0.1, 0.5, 0.9]),
        (2, [0.1, 0.2, 0.5, 1.0], [0.1, 0.5, 1.0]),
        (4, [0.2, 0.3, 0.8], [0.2, 0.3, 0.8]),
        (1, [0.1, 0.2, 0.3], [0.1, 0.3]),
        (10, [0.25], [0.25]),
        (10, [], []),
    ],
)
def test_the_first_row_of_each_part_is_shown_and_the_last_of_all(
    points: int, progresses: list[float], expected: list[float]
) -> None:
    assert shown(points, progresses) == expected


def test_evaluations_are_shown_wherever_they_stand() -> None:
    thinning = Thinning(points=1)
    thinning.choose(training(0.1))
    evaluation = {"evaluation/return_mean": 3.0, "final/return_mean": 4.0}
    assert thinning.choose(Row(15, 0.15, 0, evaluation)) == evaluation
    assert thinning.choose(training(0.2, **evaluation)) == evaluation


def test_the_rest_is_what_was_left_out_of_the_last_training_row() -> None:
    thinning = Thinning(points=1)
    thinning.choose(training(0.1))
    assert thinning.rest() is None
    last = training(0.2, **{"evaluation/return_mean": 3.0})
    thinning.choose(last)
    thinning.choose(Row(20, 0.2, 0, {"final/return_mean": 4.0}))
    assert thinning.rest() == (last, {"train/return_mean": 0.2})
