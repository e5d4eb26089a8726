import itertools
import math
from collections.abc import Iterable, Mapping

import pandas as pd
import pytest

from pgexp.comparison.counting import missing_runs
from pgexp.comparison.design import Design, design
from pgexp.schema.names import FINAL_RETURN

Params = Mapping[str, object]


def frame(
    cells: Iterable[Params], seeds: Iterable[int] = (0, 1), env: str = "CartPole-v1", score: float = 1.0
) -> pd.DataFrame:
    """Return a run a cell and seed, with the parameters of the cell, and some that all have."""
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


def test_a_full_crossing_is_one() -> None:
    found = design(frame(crossed(lr=[0.1, 0.01, 1.0], baseline=["value", "none"])))
    assert found.factors == {"param.baseline": ("none", "value"), "param.lr": (0.01, 0.1, 1.0)}
    assert (found.cells, found.is_full_factorial, found.is_paired) == (6, True, True)
    assert found.missing_cells.empty
    assert found.missing_runs.empty
    assert found.configurations["n"].tolist() == [2] * 6
    assert found.configurations["label"].tolist()[:2] == ["baseline=value lr=0.1", "baseline=none lr=0.1"]


def test_a_single_configuration_has_no_factor() -> None:
    found = design(frame([{"lr": 0.1}]))
    assert (found.factors, found.cells, found.is_full_factorial) == ({}, 1, True)
    assert found.configurations["label"].tolist() == [""]


def test_a_missing_cell_is_named() -> None:
    cells = crossed(lr=[0.1, 0.01], baseline=["value", "none"])
    found = design(frame([cell for cell in cells if cell != {"lr": 0.01, "baseline": "none"}]))
    assert (found.cells, found.is_full_factorial) == (4, False)
    assert found.missing_cells.to_dict("records") == [
        {"environment": "CartPole-v1", "param.baseline": "none", "param.lr": 0.01}
    ]


NESTED = [
    {"baseline": "none"},
    *({"baseline": "value", "baseline.lr": lr, "baseline.steps": steps} for lr in (0.1, 0.2) for steps in (1, 2, 3)),
    {"baseline": "ema", "baseline.decay": 0.9},
]


def test_an_options_parameter_is_crossed_only_where_the_option_is_chosen() -> None:
    found = design(frame(NESTED))
    assert found.factors == {
        "param.baseline": ("ema", "none", "value"),
        "param.baseline.lr": (0.1, 0.2),
        "param.baseline.steps": (1.0, 2.0, 3.0),
    }, "the decay belongs to ema and does not vary"
    assert (found.cells, found.is_full_factorial) == (1 + 2 * 3 + 1, True)
    assert "baseline=none" in found.configurations["label"].tolist()


def test_a_missing_cell_of_an_options_parameter_is_named() -> None:
    also = [cell | {"gae": gae} for cell in NESTED for gae in (0, 1)]
    lacking = {"baseline": "value", "baseline.lr": 0.2, "baseline.steps": 3, "gae": 1}
    found = design(frame([cell for cell in also if cell != lacking]))
    assert found.cells == 16
    (missing,) = found.missing_cells.to_dict("records")
    assert missing == {"environment": "CartPole-v1"} | {f"param.{key}": value for key, value in lacking.items()}


def test_options_of_options_are_crossed_where_theirs_is() -> None:
    deep = {"baseline": "value", "baseline.net": "mlp"}
    cells = [
        {"baseline": "none"},
        {"baseline": "value", "baseline.net": "linear"},
        deep | {"baseline.net.width": 8},
        deep | {"baseline.net.width": 16},
    ]
    assert design(frame(cells)).cells == 4
    assert design(frame(cells)).is_full_factorial


def test_none_is_a_value_where_no_option_explains_it() -> None:
    found = design(frame(crossed(clip=[None, 0.5, 0.1], lr=[1, 2])))
    assert found.factors["param.clip"] == (0.1, 0.5, None)
    assert (found.cells, found.is_full_factorial) == (6, True)


def test_the_environment_is_a_task_and_what_it_decides_is_no_factor() -> None:
    cells = crossed(baseline=["none", "value"])
    one = frame([cell | {"budget.steps": 1000} for cell in cells])
    other = frame([cell | {"budget.steps": 5000} for cell in cells], env="Acrobot-v1")
    both = pd.concat([one, other], ignore_index=True)
    found = design(both)
    assert list(found.factors) == ["param.baseline"]
    assert (found.cells, found.is_full_factorial) == (4, True)
    assert found.configurations["label"].tolist() == ["baseline=none", "baseline=value"] * 2
    lacking = design(both[both["configuration"] != "Acrobot-v1 baseline=none budget.steps=5000"])
    assert lacking.missing_cells.to_dict("records") == [{"environment": "Acrobot-v1", "param.baseline": "none"}]


def test_an_environment_by_another_options_name_is_no_other_value_of_a_factor() -> None:
    runs = frame([{"lr": 1}, {"lr": 2}]).assign(**{"param.env": ["cartpole", "cartpole", "gym", "gym"]})
    assert list(design(runs).factors) == ["param.lr"]


def test_a_default_of_each_option_is_no_factor_beside_it() -> None:
    found = design(frame([{"optimizer": "sgd", "optimizer.lr": 0.1}, {"optimizer": "adam", "optimizer.lr": 0.001}]))
    assert found.factors == {"param.optimizer": ("adam", "sgd")}
    assert (found.cells, found.is_full_factorial) == (2, True)


def test_values_that_were_drawn_are_counted_and_not_listed() -> None:
    found = design(frame([{"a": value, "b": value + 0.5, "c": -value} for value in range(30)], seeds=[0]))
    assert (found.cells, found.is_full_factorial) == (27_000, False)
    assert found.missing_cells.empty


def test_missing_runs_are_those_that_others_have_of_the_environment() -> None:
    one, other = frame([{"lr": 1}], seeds=[0, 1, 2]), frame([{"lr": 2}], seeds=[1, 7])
    elsewhere = frame([{"lr": 1}], seeds=[9], env="Acrobot-v1")
    runs = pd.concat([one, other, elsewhere], ignore_index=True)
    assert missing_runs(runs).to_numpy().tolist() == [
        ["CartPole-v1", "lr=1", 7],
        ["CartPole-v1", "lr=2", 0],
        ["CartPole-v1", "lr=2", 2],
    ]
    pd.testing.assert_frame_equal(design(runs).missing_runs, missing_runs(runs))


@pytest.mark.parametrize("status", ["FAILED", "RUNNING", "SCHEDULED"])
def test_a_run_that_was_recorded_is_not_missing_but_pairs_with_none(status: str) -> None:
    runs = frame(crossed(lr=[1, 2]))
    runs.loc[0, ["status", FINAL_RETURN]] = [status, math.nan]
    found: Design = design(runs)
    assert found.missing_runs.empty
    assert not found.is_paired
    assert found.configurations["n"].tolist() == [1, 2]


def test_other_seeds_are_not_paired_even_if_as_many() -> None:
    runs = pd.concat([frame([{"lr": 1}], seeds=[0, 1]), frame([{"lr": 2}], seeds=[1, 2])], ignore_index=True)
    assert not design(runs).is_paired
