"""Detection of baseline attributes that change without being declared."""

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pgexp.algorithms.errors import StateError
from pgexp.algorithms.trainer import require_state_attributes, state_fingerprints
from pgexp.baselines.baseline import Baseline
from pgexp.baselines.none import NoBaseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns
from tests.algorithms.conftest import Assemble
from tests.conftest import CONF, Compose
from tests.episodes import Episode, batch_of, estimator, returns_of

BASELINES = sorted(path.stem for path in (CONF / "baseline").glob("*.yaml"))
BATCH = batch_of(Episode([[1]] * 2, [0] * 2, [6, 4]))


class Keeping(Baseline):
    """A baseline that changes its only attribute at each update."""

    biased = False

    def __init__(self, kept: Any, deed: Callable[["Keeping"], None]) -> None:
        self.kept = deepcopy(kept)
        self._deed = deed

    def values(self, batch: Batch, returns: Returns) -> Floats:
        return np.zeros(batch.steps)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        self._deed(self)
        return {}


class Declaring(Keeping):
    """A baseline that declares the attribute."""

    state_attributes = ("kept",)


class DeclaringAnother(Keeping):
    """A baseline that declares another attribute."""

    state_attributes = ("other",)


def learn(baseline: Baseline) -> None:
    """Update the baseline once, and require that it declares what changes."""
    before = state_fingerprints(baseline)
    returns = returns_of(estimator(), BATCH)
    baseline.values(BATCH, returns)
    baseline.update(BATCH, returns)
    require_state_attributes(baseline, before)


def put(name: str, value: Any) -> Callable[[Keeping], None]:
    return lambda baseline: setattr(baseline, name, value)


CHANGES: dict[str, tuple[Any, Callable[[Keeping], None]]] = {
    "a float": (0.0, put("kept", 5e-324)),
    "a sign": (0.0, put("kept", -0.0)),
    "a kind of number": (1, put("kept", 1.0)),
    "none": (None, put("kept", 0)),
    "a list": ([], lambda baseline: baseline.kept.append(1.0)),
    "the order of a list": ([1, 11], lambda baseline: baseline.kept.reverse()),
    "the ends of lists": ([[1], []], lambda baseline: baseline.kept.reverse()),
    "a text of two": (["a', 'b"], put("kept", ["a", "b"])),
    "a mapping": ({}, lambda baseline: baseline.kept.update({"a": 1})),
    "a key": ({"1": 2}, put("kept", {1: 2})),
    "an array in place": (np.zeros(3), lambda baseline: baseline.kept.__setitem__(1, 1.0)),
    "the middle of a long array": (np.zeros(5_000), lambda baseline: baseline.kept.__setitem__(2_500, 1e-9)),
    "the last bit of an array": (np.ones(3), put("kept", np.nextafter(np.ones(3), 2))),
    "a tensor in place": (torch.zeros(3), lambda baseline: baseline.kept.add_(1.0)),
    "another object": ({1}, put("kept", {2})),
}


@pytest.mark.parametrize(("kept", "deed"), CHANGES.values(), ids=CHANGES.keys())
class TestChanges:
    def test_the_error_shows_the_declaration_to_add(self, kept: Any, deed: Callable[[Keeping], None]) -> None:
        with pytest.raises(StateError) as refusal:
            learn(Keeping(kept, deed))
        assert 'Add to the class: state_attributes = ("kept",)' in str(refusal.value)

    def test_the_declaration_includes_what_is_declared_already(
        self, kept: Any, deed: Callable[[Keeping], None]
    ) -> None:
        with pytest.raises(StateError, match=re.escape('Add to the class: state_attributes = ("other", "kept",)')):
            learn(DeclaringAnother(kept, deed))

    def test_a_declared_attribute_may_change(self, kept: Any, deed: Callable[[Keeping], None]) -> None:
        learn(Declaring(kept, deed))


def test_a_new_attribute_is_an_error() -> None:
    with pytest.raises(StateError, match="Keeping changes seen"):
        learn(Keeping(0.0, put("seen", 3)))


@pytest.mark.parametrize("kept", [0.5, float("nan"), [1, {}], np.array([np.nan]), {1}, torch.nn.Linear(1, 1), len])
def test_an_attribute_that_does_not_change_needs_no_declaration(kept: Any) -> None:
    learn(Keeping(kept, lambda baseline: None))
    learn(Keeping(kept, lambda baseline: setattr(baseline, "kept", baseline.kept)))


def test_a_baseline_without_attributes_passes() -> None:
    learn(NoBaseline())


def test_the_baseline_of_the_readme_passes() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    (code,) = re.findall(r"```python\n( *# mine\.py\n.*?)```", text, re.DOTALL)
    made: dict[str, Any] = {}
    exec("\n".join(line[3:] for line in code.splitlines()), made)
    learn(made["Share"](0.5))


@pytest.mark.parametrize("baseline", BASELINES)
def test_each_shipped_baseline_passes(configured: Compose, assembled: Assemble, baseline: str) -> None:
    run = assembled(configured(f"baseline={baseline}", "budget.steps=300", "network.widths=[4]"))
    own = run.trainer.state.baseline
    before = state_fingerprints(own)
    for _ in run.trainer.train():
        require_state_attributes(own, before)
