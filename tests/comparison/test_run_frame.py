"""Names of configurations and natural sorting."""

import pandas as pd

from pgexp.comparison.run_frame import configuration_names, natural_key


def seeds(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame([{"sweep": None, "configuration_name": "", "param.seed": 0, **row} for row in rows])


def test_name_within_a_sweep_is_the_recorded_one() -> None:
    runs = seeds(
        {"sweep": "s", "configuration": "k1", "configuration_name": "lr=0.1", "param.lr": 0.1, "param.seed": 1},
        {"sweep": "s", "configuration": "k1", "configuration_name": "lr=0.1", "param.lr": 0.1, "param.seed": 2},
        {"sweep": "s", "configuration": "k2", "configuration_name": "lr=0.2", "param.lr": 0.2, "param.seed": 1},
    )
    assert configuration_names(runs).tolist() == ["lr=0.1", "lr=0.1", "lr=0.2"]


def test_name_over_several_sweeps_lists_all_differences() -> None:
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


def test_absent_parameters_are_not_in_the_name() -> None:
    runs = seeds({"configuration": "k1", "param.clip": 0.5}, {"configuration": "k2", "param.n": 3.0})
    assert configuration_names(runs).tolist() == ["clip=0.5", "n=3.0"]


def test_constant_parameters_of_an_option_are_not_in_the_name() -> None:
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


def test_equal_names_get_their_keys() -> None:
    runs = seeds(
        {"sweep": "s", "configuration": "0123456789", "configuration_name": "net=mlp"},
        {"sweep": "s", "configuration": "abcdefghij", "configuration_name": "net=mlp"},
    )
    assert configuration_names(runs).tolist() == ["net=mlp 012345", "net=mlp abcdef"]


def test_name_of_a_single_run() -> None:
    assert configuration_names(seeds({"configuration": "k", "configuration_name": "cartpole"})).tolist() == ["cartpole"]
    assert configuration_names(seeds({"configuration": "0123456789"})).tolist() == ["012345"]


def test_natural_key_orders_numbers_by_size() -> None:
    names = ["n=10 lr=0.1", "n=9 lr=0.1", "n=9 lr=1e-3", "n=9 lr=0.003", "baseline"]
    assert sorted(names, key=natural_key) == ["baseline", "n=9 lr=1e-3", "n=9 lr=0.003", "n=9 lr=0.1", "n=10 lr=0.1"]
