import pandas as pd
import pytest

from pgexp.comparison.factors import factors, levels, numbers, option_values
from pgexp.comparison.store import ComparisonError
from tests.comparison.scored import configuration, joined

ONE = [1.0]


def values(runs: pd.DataFrame, factor: str) -> list[tuple[object, int]]:
    return [(value, len(rows)) for value, rows in levels(runs, factor)]


def test_what_differs_is_a_factor_and_the_seed_and_the_environment_are_none() -> None:
    runs = joined(
        configuration([1.0, 2.0], baseline="a", optimizer__lr=0.1, network="mlp"),
        configuration([1.0, 2.0], baseline="a", optimizer__lr=0.2, network="mlp"),
        configuration(ONE, environment="Acrobot-v1", baseline="a", optimizer__lr=0.1, network="mlp"),
    )
    assert factors(runs) == ["optimizer.lr"]


def test_what_one_option_alone_has_is_a_factor_only_where_it_differs_within_it() -> None:
    none = configuration(ONE, baseline="none")
    one = configuration(ONE, baseline="value", baseline__lr=0.1)
    two = configuration(ONE, baseline="value", baseline__lr=0.2)
    assert factors(joined(none, one)) == ["baseline"]
    assert factors(joined(none, one, two)) == ["baseline", "baseline.lr"]
    assert values(joined(none, one, two), "baseline.lr") == [(0.1, 1), (0.2, 1)]


def test_what_differs_only_as_each_option_has_its_own_is_no_factor() -> None:
    sgd = configuration(ONE, optimizer="sgd", optimizer__lr=0.01)
    adam = configuration(ONE, optimizer="adam", optimizer__lr=0.001)
    assert factors(joined(sgd, adam)) == ["optimizer"]
    more = configuration(ONE, optimizer="adam", optimizer__lr=0.003)
    assert factors(joined(sgd, adam, more)) == ["optimizer", "optimizer.lr"]
    assert [value for value, _ in levels(joined(sgd, adam, more), "optimizer.lr")] == [0.001, 0.003, 0.01]


def test_null_is_a_value_like_others_where_the_parameter_may_have_it() -> None:
    runs = joined(configuration(ONE, algorithm__max_grad_norm=0.5), configuration(ONE, algorithm="reinforce"))
    runs["param.algorithm"] = "reinforce"
    assert factors(runs) == ["algorithm.max_grad_norm"]
    assert values(runs, "algorithm.max_grad_norm") == [(0.5, 1), ("null", 1)]


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ([10, 9, 100], [9, 10, 100]),
        ([1e-2, 3e-4, 1e-3], [3e-4, 1e-3, 1e-2]),
        (["[64, 64]", "[8]", "[16]"], ["[8]", "[16]", "[64, 64]"]),
        ([True, False], [False, True]),
    ],
)
def test_values_are_in_order(given: list[object], ordered: list[object]) -> None:
    runs = joined(*(configuration(ONE, network__x=value) for value in given))
    assert [value for value, _ in values(runs, "network.x")] == ordered


def test_an_option_stands_before_what_belongs_to_it() -> None:
    runs = joined(*(configuration(ONE, a__b=b, c=c, z=0) for b in (1, 2) for c in (1, 2)))
    assert factors(runs) == ["c", "a.b"]


def test_what_differs_between_environments_alone_is_no_factor() -> None:
    runs = joined(
        *(configuration(ONE, environment=env, env=env, budget=size) for env, size in (("A-v1", 1), ("B-v1", 2)))
    )
    assert factors(runs) == []


def test_what_belongs_to_the_environment_is_a_factor_however_it_is_named() -> None:
    runs = joined(configuration(ONE, env="cartpole", env__num_envs=4), configuration(ONE, env="gym", env__num_envs=8))
    assert factors(runs) == ["env.num_envs"], "without it nothing would tell the two apart"


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2, 0.5], [2.0, 0.5]), (["1", "2"], [1.0, 2.0]), ([True, False], None), ([1, "null"], None), (["a"], None)],
)
def test_values_are_numbers_or_categories(values: list[object], expected: list[float] | None) -> None:
    found = numbers(pd.Series(values, dtype=object))
    assert (found is None) if expected is None else (found is not None and found.tolist() == expected)


def test_option_values_are_as_a_command_says_them() -> None:
    runs = joined(configuration(ONE, baseline="none", optimizer__lr=0.1), configuration(ONE, baseline="value"))
    runs["param.network.bias"] = pd.array([True, pd.NA], dtype="boolean")
    assert option_values(runs, ["baseline", "network.bias"]).tolist() == [
        "baseline=none network.bias=true",
        "baseline=value network.bias=null",
    ]
    assert option_values(runs, []).tolist() == ["", ""]


def test_an_unknown_parameter_is_refused_with_the_nearest() -> None:
    runs = configuration(ONE, baseline="none", optimizer__lr=0.1)
    with pytest.raises(ComparisonError, match=r"no parameter 'optimiser.lr': the nearest here are optimizer.lr"):
        option_values(runs, ["optimiser.lr"])
    with pytest.raises(ComparisonError, match="no parameter 'seed'"):
        option_values(runs, ["seed"])
