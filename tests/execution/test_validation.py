"""Trial builds of runs: errors and tags."""

import pytest

from pgexp.execution import validation
from pgexp.execution.assembly import Run, assemble
from pgexp.execution.validation import validate
from pgexp.kernels import acting, compilation
from pgexp.schema.errors import UserError
from tests.conftest import Compose


def test_options_that_contradict_each_other_are_refused(configured: Compose) -> None:
    fine, wrong = configured("baseline=value"), configured("baseline=none", "algorithm.time_limit=bootstrap")
    with pytest.raises(UserError, match="time_limit"):
        validate([fine, fine, wrong])


def test_a_value_that_only_torch_can_check_is_refused(configured: Compose) -> None:
    configs = [configured("optimizer.betas=[0.9,0.99]"), configured("optimizer.betas=[2.0,0.99]")]
    with pytest.raises(UserError, match=r"optimizer: Adam refuses its arguments: Invalid beta parameter"):
        validate(configs)


def test_seeds_of_a_configuration_are_built_once(configured: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    monkeypatch.setattr(validation, "assemble", lambda config: built.append(config) or assemble(config))
    tags = validate([configured(f"baseline={name}", f"seed={seed}") for name in ("mean", "none") for seed in (0, 1)])
    assert [config.baseline.name for config in built] == ["BatchMean", "NoBaseline"]
    assert tags == [tags[0]] * 2 + [tags[2]] * 2
    assert tags[0]["pgexp.biased"] != tags[2]["pgexp.biased"]


def test_kernels_are_compiled_before_workers_start(configured: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building a run requests the acting loop's entry point for its dynamics and policy."""
    asked = []
    entry_point = compilation.entry_point
    monkeypatch.setattr(
        compilation, "entry_point", lambda function, *types: asked.append(function) or entry_point(function, *types)
    )
    validate([configured("baseline=none")])
    assert acting.play in asked


def test_the_environments_are_closed(configured: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    close = Run.close
    monkeypatch.setattr(Run, "close", lambda run: closed.append(run) or close(run))
    validate([configured("baseline=none", "env=frozenlake")])
    assert len(closed) == 1
