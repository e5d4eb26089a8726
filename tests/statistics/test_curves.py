import numpy as np

from pgexp.statistics.curves import POINTS, on_common_steps


def test_seeds_are_interpolated_between_the_steps_that_all_have() -> None:
    first = (np.array([100.0, 200, 300]), np.array([0.0, 10, 30]))
    second = (np.array([120.0, 220, 320]), np.array([1.0, 2, 3]))
    grid, values = on_common_steps([first, second])
    # From 120, the second's first, to 300, the first's last, with three points as either has.
    np.testing.assert_allclose(grid, [120, 210, 300])
    np.testing.assert_allclose(values, [[2, 12, 30], [1, 1.9, 2.8]])


def test_equal_steps_are_kept_as_they_are() -> None:
    seeds = [(np.array([100.0, 200, 300]), np.array([1.0, 2, 4])), (np.array([100.0, 200, 300]), np.array([3.0, 2, 1]))]
    grid, values = on_common_steps(seeds)
    assert grid.tolist() == [100, 200, 300]
    assert values.tolist() == [[1, 2, 4], [3, 2, 1]]


def test_seeds_without_a_step_in_common_have_no_grid() -> None:
    seeds = [(np.array([100.0]), np.array([1.0])), (np.array([110.0]), np.array([1.0]))]
    assert on_common_steps(seeds)[0].size == 0
    assert on_common_steps([])[0].size == 0


def test_a_seed_that_ends_early_leaves_the_grid_and_is_not_extrapolated() -> None:
    whole = [(np.array([100.0, 200, 300, 400]), np.array([1.0, 2, 3, 4])) for _ in range(2)]
    short = (np.array([100.0, 200, 250]), np.array([7.0, 8, 9]))
    late = (np.array([290.0, 390]), np.array([5.0, 6]))
    grid, values = on_common_steps([*whole, short, late])
    assert grid.tolist() == [100, 200, 300, 400]
    np.testing.assert_array_equal(values[2], [7, 8, np.nan, np.nan])
    np.testing.assert_allclose(values[3], [np.nan, np.nan, 5.1, np.nan])


def test_a_seed_that_ends_within_an_evaluation_of_the_last_shortens_the_grid_instead() -> None:
    # 100 steps lie between evaluations; one seed's updates end 60 steps sooner, as in any run.
    seeds = [(np.array([100.0, 200, 300]), np.ones(3)), (np.array([90.0, 180, 240]), np.ones(3))]
    grid, values = on_common_steps(seeds)
    assert grid.tolist() == [100, 170, 240]
    assert not np.isnan(values).any()


def test_the_grid_has_a_limit() -> None:
    steps = np.arange(1.0, 10 * POINTS)
    grid, values = on_common_steps([(steps, 2 * steps)])
    assert grid.size == POINTS
    np.testing.assert_allclose(values, [2 * grid])
