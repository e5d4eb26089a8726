"""Experimental design: factors, levels, cells and missing runs."""

import itertools
import math
from collections.abc import Iterable, Mapping

import pandas as pd
import pytest

from pgexp.comparison.design import Design, design, factor_levels, factors, numeric, parameter_texts
from pgexp.comparison.inclusion import missing_runs
from pgexp.schema.errors import UserError
from pgexp.schema.names import FINAL_RETURN
from tests.comparison.score_frames import configuration, joined

Params = Mapping[str, object]


def cell_runs(
    cells: Iterable[Params], seeds: Iterable[int] = (0, 1), env: str = "CartPole-v1", score: float = 1.0
) -> pd.DataFrame:
    """Return a run per cell and seed, with the parameters of the cell and common ones."""
    rows = []
    for cell, seed in itertools.product(cells, seeds):
        name = " ".join(f"{key}={value}" for key, value in cell.items())
        rows.append(
            {
                "run_id": f"{env} {name} {seed}",
                "environment": env,
                "configuration": f"{env} {name}",
                "configuration_name": name,
                "seed": seed,
                "status": "FINISHED",
                "start": pd.Timestamp(seed, unit="s"),
                FINAL_RETURN: score,
                "param.seed": seed,
                "param.env": env.lower(),
                "param.env.id": env,
                "param.gamma": 0.9,
                **{f"param.{key}": value for key, value in cell.items()},
            }
        )
    return pd.DataFrame(rows)


def crossed(**values: Iterable[object]) -> list[Params]:
    return [dict(zip(values, cell, strict=True)) for cell in itertools.product(*values.values())]


def test_full_factorial_design() -> None:
    found = design(cell_runs(crossed(lr=[0.1, 0.01, 1.0], baseline=["value", "none"])))
    assert found.factors == {"param.baseline": ("none", "value"), "param.lr": (0.01, 0.1, 1.0)}
    assert (found.cells, found.is_full_factorial, found.is_paired) == (6, True, True)
    assert found.missing_cells.empty
    assert found.missing_runs.empty
    assert found.configurations["n"].tolist() == [2] * 6
    assert found.configurations["label"].tolist()[:2] == ["baseline=value lr=0.1", "baseline=none lr=0.1"]


def test_one_configuration_has_no_factor() -> None:
    found = design(cell_runs([{"lr": 0.1}]))
    assert (found.factors, found.cells, found.is_full_factorial) == ({}, 1, True)
    assert found.configurations["label"].tolist() == [""]


def test_missing_cell() -> None:
    cells = crossed(lr=[0.1, 0.01], baseline=["value", "none"])
    found = design(cell_runs([cell for cell in cells if cell != {"lr": 0.01, "baseline": "none"}]))
    assert (found.cells, found.is_full_factorial) == (4, False)
    assert found.missing_cells.to_dict("records") == [
        {"environment": "CartPole-v1", "param.baseline": "none", "param.lr": 0.01}
    ]


NESTED = [
    {"baseline": "none"},
    *({"baseline": "value", "baseline.lr": lr, "baseline.steps": steps} for lr in (0.1, 0.2) for steps in (1, 2, 3)),
    {"baseline": "ema", "baseline.decay": 0.9},
]


def test_parameters_are_crossed_within_their_option() -> None:
    found = design(cell_runs(NESTED))
    assert found.factors == {
        "param.baseline": ("ema", "none", "value"),
        "param.baseline.lr": (0.1, 0.2),
        "param.baseline.steps": (1.0, 2.0, 3.0),
    }, "the decay belongs to ema and does not vary"
    assert (found.cells, found.is_full_factorial) == (1 + 2 * 3 + 1, True)
    assert "baseline=none" in found.configurations["label"].tolist()


def test_missing_cell_of_an_options_parameter() -> None:
    also = [cell | {"gae": gae} for cell in NESTED for gae in (0, 1)]
    lacking = {"baseline": "value", "baseline.lr": 0.2, "baseline.steps": 3, "gae": 1}
    found = design(cell_runs([cell for cell in also if cell != lacking]))
    assert found.cells == 16
    (missing,) = found.missing_cells.to_dict("records")
    assert missing == {"environment": "CartPole-v1"} | {f"param.{key}": value for key, value in lacking.items()}


def test_nested_options_are_crossed_within_their_option() -> None:
    deep = {"baseline": "value", "baseline.net": "mlp"}
    cells = [
        {"baseline": "none"},
        {"baseline": "value", "baseline.net": "linear"},
        deep | {"baseline.net.width": 8},
        deep | {"baseline.net.width": 16},
    ]
    assert design(cell_runs(cells)).cells == 4
    assert design(cell_runs(cells)).is_full_factorial


def test_none_is_a_value_without_an_option() -> None:
    found = design(cell_runs(crossed(clip=[None, 0.5, 0.1], lr=[1, 2])))
    assert found.factors["param.clip"] == (0.1, 0.5, None)
    assert (found.cells, found.is_full_factorial) == (6, True)


def test_differences_between_environments_are_no_factor() -> None:
    cells = crossed(baseline=["none", "value"])
    one = cell_runs([cell | {"budget.steps": 1000} for cell in cells])
    other = cell_runs([cell | {"budget.steps": 5000} for cell in cells], env="Acrobot-v1")
    both = pd.concat([one, other], ignore_index=True)
    found = design(both)
    assert list(found.factors) == ["param.baseline"]
    assert (found.cells, found.is_full_factorial) == (4, True)
    assert found.configurations["label"].tolist() == ["baseline=none", "baseline=value"] * 2
    lacking = design(both[both["configuration"] != "Acrobot-v1 baseline=none budget.steps=5000"])
    assert lacking.missing_cells.to_dict("records") == [{"environment": "Acrobot-v1", "param.baseline": "none"}]


def test_the_environments_option_is_no_factor() -> None:
    runs = cell_runs([{"lr": 1}, {"lr": 2}]).assign(**{"param.env": ["cartpole", "cartpole", "gym", "gym"]})
    assert list(design(runs).factors) == ["param.lr"]


def test_defaults_of_options_are_no_factor() -> None:
    found = design(cell_runs([{"optimizer": "sgd", "optimizer.lr": 0.1}, {"optimizer": "adam", "optimizer.lr": 0.001}]))
    assert found.factors == {"param.optimizer": ("adam", "sgd")}
    assert (found.cells, found.is_full_factorial) == (2, True)


def test_cells_of_sampled_values_are_not_listed() -> None:
    found = design(cell_runs([{"a": value, "b": value + 0.5, "c": -value} for value in range(30)], seeds=[0]))
    assert (found.cells, found.is_full_factorial) == (27_000, False)
    assert found.missing_cells.empty


def test_missing_runs() -> None:
    one, other = cell_runs([{"lr": 1}], seeds=[0, 1, 2]), cell_runs([{"lr": 2}], seeds=[1, 7])
    elsewhere = cell_runs([{"lr": 1}], seeds=[9], env="Acrobot-v1")
    runs = pd.concat([one, other, elsewhere], ignore_index=True)
    assert missing_runs(runs).to_numpy().tolist() == [
        ["CartPole-v1", "lr=1", 7],
        ["CartPole-v1", "lr=2", 0],
        ["CartPole-v1", "lr=2", 2],
    ]
    pd.testing.assert_frame_equal(design(runs).missing_runs, missing_runs(runs))


@pytest.mark.parametrize("status", ["FAILED", "RUNNING", "SCHEDULED"])
def test_a_run_without_a_score_is_not_missing(status: str) -> None:
    runs = cell_runs(crossed(lr=[1, 2]))
    runs.loc[0, ["status", FINAL_RETURN]] = [status, math.nan]
    found: Design = design(runs)
    assert found.missing_runs.empty
    assert not found.is_paired
    assert found.configurations["n"].tolist() == [1, 2]


def test_different_seeds_are_not_paired() -> None:
    runs = pd.concat([cell_runs([{"lr": 1}], seeds=[0, 1]), cell_runs([{"lr": 2}], seeds=[1, 2])], ignore_index=True)
    assert not design(runs).is_paired


ONE = [1.0]


def values(runs: pd.DataFrame, factor: str) -> list[tuple[object, int]]:
    return [(value, len(rows)) for value, rows in factor_levels(runs, factor)]


def test_differing_parameters_are_factors() -> None:
    runs = joined(
        configuration([1.0, 2.0], baseline="a", optimizer__lr=0.1, network="mlp"),
        configuration([1.0, 2.0], baseline="a", optimizer__lr=0.2, network="mlp"),
        configuration(ONE, environment="Acrobot-v1", baseline="a", optimizer__lr=0.1, network="mlp"),
    )
    assert factors(runs) == ["optimizer.lr"]


def test_parameters_of_one_option_as_factors() -> None:
    none = configuration(ONE, baseline="none")
    one = configuration(ONE, baseline="value", baseline__lr=0.1)
    two = configuration(ONE, baseline="value", baseline__lr=0.2)
    assert factors(joined(none, one)) == ["baseline"]
    assert factors(joined(none, one, two)) == ["baseline", "baseline.lr"]
    assert values(joined(none, one, two), "baseline.lr") == [(0.1, 1), (0.2, 1)]


def test_option_defaults_are_no_factor() -> None:
    sgd = configuration(ONE, optimizer="sgd", optimizer__lr=0.01)
    adam = configuration(ONE, optimizer="adam", optimizer__lr=0.001)
    assert factors(joined(sgd, adam)) == ["optimizer"]
    more = configuration(ONE, optimizer="adam", optimizer__lr=0.003)
    assert factors(joined(sgd, adam, more)) == ["optimizer", "optimizer.lr"]
    assert [value for value, _ in factor_levels(joined(sgd, adam, more), "optimizer.lr")] == [0.001, 0.003, 0.01]


def test_null_is_a_level() -> None:
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
def test_levels_are_sorted(given: list[object], ordered: list[object]) -> None:
    runs = joined(*(configuration(ONE, network__x=value) for value in given))
    assert [value for value, _ in values(runs, "network.x")] == ordered


def test_options_come_before_their_parameters() -> None:
    runs = joined(*(configuration(ONE, a__b=b, c=c, z=0) for b in (1, 2) for c in (1, 2)))
    assert factors(runs) == ["c", "a.b"]


def test_environment_settings_are_no_factor() -> None:
    runs = joined(
        *(configuration(ONE, environment=env, env=env, budget=size) for env, size in (("A-v1", 1), ("B-v1", 2)))
    )
    assert factors(runs) == []


def test_environment_parameters_can_be_factors() -> None:
    runs = joined(configuration(ONE, env="cartpole", env__num_envs=4), configuration(ONE, env="gym", env__num_envs=8))
    assert factors(runs) == ["env.num_envs"], "only it distinguishes both"


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2, 0.5], [2.0, 0.5]), (["1", "2"], [1.0, 2.0]), ([True, False], None), ([1, "null"], None), (["a"], None)],
)
def test_numeric_values(values: list[object], expected: list[float] | None) -> None:
    found = numeric(pd.Series(values, dtype=object))
    assert (found is None) if expected is None else (found is not None and found.tolist() == expected)


def test_parameter_texts_are_as_in_a_command() -> None:
    runs = joined(configuration(ONE, baseline="none", optimizer__lr=0.1), configuration(ONE, baseline="value"))
    runs["param.network.bias"] = pd.array([True, pd.NA], dtype="boolean")
    assert parameter_texts(runs, ["baseline", "network.bias"]).tolist() == [
        "baseline=none network.bias=true",
        "baseline=value network.bias=null",
    ]
    assert parameter_texts(runs, []).tolist() == ["", ""]


def test_unknown_parameter_suggests_the_nearest() -> None:
    runs = configuration(ONE, baseline="none", optimizer__lr=0.1)
    with pytest.raises(UserError, match=r"unknown parameter 'optimiser.lr'. Did you mean optimizer.lr"):
        parameter_texts(runs, ["optimiser.lr"])
    with pytest.raises(UserError, match="unknown parameter 'seed'"):
        parameter_texts(runs, ["seed"])
