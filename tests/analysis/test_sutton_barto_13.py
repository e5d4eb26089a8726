"""The short corridor's simulation is the book's algorithm, and pgexp's experiments take the same steps."""

import json

import numpy as np
import pytest
import torch
import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from analysis.sutton_barto_13 import simulation
from analysis.sutton_barto_13.comparison import rows, share
from analysis.sutton_barto_13.simulation import OPTIMUM, SETTINGS, Array, Order, Setting, expected_return, play, sigmoid
from pgexp.execution.assembly import assemble
from tests.conftest import CONF, Compose
from tests.softmax_runs import learn_from

# Right, left, right: the shortest episode, whose returns are -3, -2 and -1.
SHORTEST, LENGTH = np.array([[True], [False], [True]]), np.array([3])


def updated(h: float, w: float, setting: Setting, order: Order) -> list[float]:
    """Return h and w after the shortest episode."""
    return [
        float(part[0]) for part in simulation.update(np.array([h]), np.array([w]), SHORTEST, LENGTH, setting, order)
    ]


@pytest.mark.parametrize(("right", "value"), [(0.05, "-82.1"), (0.95, "-44.2"), (2 - 2**0.5, "-11.7")])
def test_the_values_are_the_books(right: float, value: str) -> None:
    # Example 13.1: less than -82 and -44 for left and right with probability .95, and about -11.6 at the best.
    assert f"{expected_return(right):.1f}" == value
    assert expected_return(right) <= OPTIMUM + 1e-12


@pytest.mark.parametrize("order", ["episode", "step"])
def test_an_update_without_a_baseline_by_hand(order: Order) -> None:
    # Twice alpha is 1/4. At h = 0 the scores are 1/2, -1/2, 1/2: -3/2 + 1 - 1/2 = -1.
    expected = -0.25
    if order == "step":
        expected = -0.25 * 3 / 2
        expected += -0.25 * 2 * (0 - 1 / (1 + np.exp(-expected)))
        expected += -0.25 * 1 * (1 - 1 / (1 + np.exp(-expected)))
    assert updated(0.0, 0.0, Setting(-3), order) == [pytest.approx(expected), 0.0]


def test_an_update_with_a_baseline_by_hand() -> None:
    # w = -2 moves by halves: to -5/2, -9/4, -13/8. By sums: -2 + (-1 + 0 + 1) / 2.
    assert updated(0.0, -2.0, Setting(-3, -1), "episode") == [pytest.approx(0.25 * (-0.5 + 0 + 0.5)), -13 / 8]
    assert updated(0.0, -2.0, Setting(-3, -1), "sums") == [pytest.approx(0.0), -2.0]
    # In turn the deltas are -1, -2 + 5/2, -1 + 9/4.
    first = -0.25 / 2
    second = first + 0.25 * 0.5 * (0 - 1 / (1 + np.exp(-first)))
    third = second + 0.25 * 1.25 * (1 - 1 / (1 + np.exp(-second)))
    assert updated(0.0, -2.0, Setting(-3, -1), "step") == [pytest.approx(third), -13 / 8]


def test_the_summed_update_is_the_gradient_on_average() -> None:
    # The slope of J in h is 2 (p^2 - 4 p + 2) / (p (1 - p)); each of the two preferences moves by alpha times its own.
    p, runs, alpha = 0.2, 4000, 2.0**-13
    h = np.full(runs, np.log(p / (1 - p)))
    went, lengths = play(sigmoid(h), np.random.default_rng(3))
    moved = simulation.update(h, np.zeros(runs), went, lengths, Setting(-13), "episode")[0] - h
    expected = 2 * alpha * 2 * (p**2 - 4 * p + 2) / (p * (1 - p))
    assert abs(moved.mean() - expected) < 6 * moved.std() / np.sqrt(runs)  # 2e-9
    assert abs(moved.mean()) > 12 * moved.std() / np.sqrt(runs)


def test_episodes_are_as_long_as_their_policy_makes_them() -> None:
    went, lengths = play(np.repeat([0.0, 1.0, 0.5], [1, 1, 2000]), np.random.default_rng(1))
    assert lengths[:2].tolist() == [1000, 1000]
    assert went.shape == (1000, 2002)
    assert abs(lengths[2:].mean() + expected_return(0.5)) < 6 * lengths[2:].std() / np.sqrt(2000)  # 2e-9


@pytest.mark.parametrize(
    ("overrides", "setting"),
    [
        (["experiment=sutton_barto_13_1"], Setting(-13)),
        (["experiment=sutton_barto_13_2"], Setting(-9, -6)),
    ],
)
def test_pgexp_takes_the_steps_of_the_simulation(configured: Compose, overrides: list[str], setting: Setting) -> None:
    run = assemble(configured(*overrides, "dtype=float64"))
    parameters = run.parameters.views
    h, w = np.log([0.05 / 0.95]), np.zeros(1)
    for _ in range(10):
        batch = run.collector.collect()
        logits = run.policy.forward(parameters, batch).parameters.detach()
        torch.testing.assert_close(logits.softmax(-1)[:, 1].numpy(), np.repeat(sigmoid(h), batch.steps))
        learn_from(run.trainer, batch)
        went = batch.actions[:, None] == 1
        h, w = simulation.update(h, w, went, batch.lengths, setting, "episode")
    assert abs(h[0] - np.log(0.05 / 0.95)) > 0.01
    assert bool(w[0]) == (setting.alpha_w is not None)


@pytest.mark.parametrize(("figure", "settings"), [(1, SETTINGS[:3]), (2, SETTINGS[1:2] + SETTINGS[3:])])
def test_an_experiment_is_a_sweep_of_its_settings(figure: int, settings: tuple[Setting, ...]) -> None:
    read = yaml.safe_load((CONF / "experiment" / f"sutton_barto_13_{figure}.yaml").read_text())
    lines = [f"{key}={value}" for key, value in read["hydra"]["sweeper"]["params"].items()]
    (jobs,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(lines), None)
    found = [dict(line.split("=") for line in job) for job in jobs]
    rates = {(job.get("baseline", "none"), float(job["optimizer.lr"]), int(job["seed"])) for job in found}
    called = {None: "none", -6: "recency_weighted"}
    expected = {(called[each.alpha_w], 2.0**each.alpha, seed) for each in settings for seed in range(100)}
    assert rates == expected
    assert len(jobs) == len(rates)


def summary(collapsed: int, at: float = -12.0) -> dict[str, object]:
    last = np.where(np.arange(100) < collapsed, -1000.0, at)
    returns: Array = np.vstack([np.full(100, expected_return(0.05)), np.full((999, 100), last)])
    returns += np.linspace(-1, 1, 100)
    return dict(simulation.summary(returns))


def test_collapsed_runs_are_counted_and_kept_apart() -> None:
    found = summary(3)
    assert (found["collapsed"], found["runs"]) == (3, 100)
    assert found["last_others"]["n"] == 97
    assert share(found) == "3 of 100 [0.6%, 8.5%]"  # Clopper and Pearson 1934


def test_what_is_off_is_told() -> None:
    told = {row.quantity: row.p for row in rows("2^-13", summary(0), summary(0))}
    assert min(told.values()) > 0.1
    told = {row.quantity: row.p for row in rows("2^-13", summary(0), summary(0, -13.0))}
    assert told["episodes 901-1,000, not collapsed"] < 1e-6
    assert {row.quantity: row.p for row in rows("2^-13", summary(0), summary(30))}["collapsed runs"] < 1e-6


def test_what_is_expected_belongs_to_the_settings_and_begins_as_it_must() -> None:
    expected = json.loads(simulation.EXPECTED.read_text())
    assert list(expected) == [str(setting) for setting in SETTINGS]
    for by_order in expected.values():
        for part in by_order.values():
            first = part["first"]
            assert abs(first["mean"] - expected_return(0.05)) < 6 * first["std"] / np.sqrt(first["n"])  # 2e-9 each
