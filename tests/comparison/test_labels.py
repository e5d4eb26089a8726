import pandas as pd
import pytest

from pgexp.comparison.labels import configuration_names, natural, thousands


def seeds(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame([{"sweep": None, "configuration_name": "", "param.seed": 0, **row} for row in rows])


def test_within_a_sweep_the_recorded_name_is_kept() -> None:
    runs = seeds(
        {"sweep": "s", "configuration": "k1", "configuration_name": "lr=0.1", "param.lr": 0.1, "param.seed": 1},
        {"sweep": "s", "configuration": "k1", "configuration_name": "lr=0.1", "param.lr": 0.1, "param.seed": 2},
        {"sweep": "s", "configuration": "k2", "configuration_name": "lr=0.2", "param.lr": 0.2, "param.seed": 1},
    )
    assert configuration_names(runs).tolist() == ["lr=0.1", "lr=0.1", "lr=0.2"]


def test_over_several_sweeps_a_name_says_all_that_differs() -> None:
    # The second sweep's lr=0.01 is the first one's baseline=value: one configuration, recorded under two names.
    runs = seeds(
        {"sweep": "s", "configuration": "k1", "configuration_name": "baseline=none", "param.baseline": "none"},
        {"sweep": "s", "configuration": "k2", "configuration_name": "baseline=value", "param.baseline": "value"},
        {"sweep": "t", "configuration": "k2", "configuration_name": "lr=0.01", "param.baseline": "value"},
        {"sweep": "t", "configuration": "k3", "configuration_name": "lr=0.03", "param.baseline": "value"},
    ).assign(**{"param.lr": [0.01, 0.01, 0.01, 0.03], "param.gamma": 0.99})
    assert configuration_names(runs).tolist() == [
        "baseline=none lr=0.01",
        "baseline=value lr=0.01",
        "baseline=value lr=0.01",
        "baseline=value lr=0.03",
    ]


def test_what_a_configuration_does_not_have_is_not_in_its_name() -> None:
    runs = seeds({"configuration": "k1", "param.clip": 0.5}, {"configuration": "k2", "param.n": 3.0})
    assert configuration_names(runs).tolist() == ["clip=0.5", "n=3.0"]


def test_what_belongs_to_one_option_is_in_a_name_only_where_it_varies() -> None:
    runs = seeds(
        {"configuration": "k1", "param.baseline": "none"},
        {"configuration": "k2", "param.baseline": "value", "param.baseline.lr": 0.1, "param.baseline.net.width": 8},
        {"configuration": "k3", "param.baseline": "value", "param.baseline.lr": 0.2, "param.baseline.net.width": 8},
    )
    assert configuration_names(runs).tolist() == [
        "baseline=none",
        "baseline=value baseline.lr=0.1",
        "baseline=value baseline.lr=0.2",
    ]


def test_names_shared_by_two_configurations_are_told_apart_by_their_keys() -> None:
    runs = seeds(
        {"sweep": "s", "configuration": "0123456789", "configuration_name": "net=mlp"},
        {"sweep": "s", "configuration": "abcdefghij", "configuration_name": "net=mlp"},
    )
    assert configuration_names(runs).tolist() == ["net=mlp 012345", "net=mlp abcdef"]


def test_a_lone_single_run_has_its_recorded_name_or_its_key() -> None:
    assert configuration_names(seeds({"configuration": "k", "configuration_name": "cartpole"})).tolist() == ["cartpole"]
    assert configuration_names(seeds({"configuration": "0123456789"})).tolist() == ["012345"]


def test_numbers_in_names_are_ordered_by_size() -> None:
    names = ["n=10 lr=0.1", "n=9 lr=0.1", "n=9 lr=1e-3", "n=9 lr=0.003", "baseline"]
    assert sorted(names, key=natural) == ["baseline", "n=9 lr=1e-3", "n=9 lr=0.003", "n=9 lr=0.1", "n=10 lr=0.1"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (512, "512"), (50_000, "50k"), (110_044, "110k"), (999_700, "1M"), (1_250_000, "1.25M"), (2e9, "2G")],
)
def test_steps_are_short(value: float, text: str) -> None:
    assert thousands(value) == text


def test_steps_keep_the_digits_asked_for() -> None:
    assert thousands(112_500, digits=6) == "112.5k"
