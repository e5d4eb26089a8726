"""Trial builds of runs: errors, tags and memory."""

import pytest

from pgexp.execution import trying
from pgexp.execution.assembly import Run, assemble
from pgexp.execution.trying import try_out
from pgexp.kernels import acting, compilation
from pgexp.schema.errors import ConfigError
from tests.conftest import Compose


def test_a_configuration_that_cannot_be_built_is_refused(configured: Compose) -> None:
    fine, wrong = configured("baseline=value"), configured("baseline=none", "algorithm.time_limit=bootstrap")
    with pytest.raises(ConfigError, match=r"algorithm\.time_limit=bootstrap"):
        try_out([fine, fine, wrong])


def test_a_value_that_only_torch_can_check_is_refused(configured: Compose) -> None:
    configs = [configured("optimizer.betas=[0.9,0.99]"), configured("optimizer.betas=[2.0,0.99]")]
    with pytest.raises(ConfigError, match=r"optimizer: Adam refuses its arguments: Invalid beta parameter"):
        try_out(configs)


def test_seeds_of_a_configuration_are_built_once(configured: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    monkeypatch.setattr(trying, "assemble", lambda config: built.append(config) or assemble(config))
    trials = try_out([configured(f"baseline={name}", f"seed={seed}") for name in ("mean", "none") for seed in (0, 1)])
    assert [config.baseline.name for config in built] == ["BatchMean", "NoBaseline"]
    assert [trial.tags for trial in trials] == [trials[0].tags] * 2 + [trials[2].tags] * 2
    assert trials[0].tags["pgexp.biased"] != trials[2].tags["pgexp.biased"]


def test_the_memory_of_a_runs_tensors(configured: Compose) -> None:
    # CartPole: 4 inputs, 2 outputs. 100 units more are (4 + 1) * 100 + 100 * 2 weights of 4 bytes each, 9 times.
    small, large = (configured("baseline=none", f"network.widths=[{width}]") for width in (100, 200))
    one, other = (trial.footprint for trial in try_out([small, large]))
    assert other - one == 9 * 4 * ((4 + 1) * 100 + 100 * 2)


def test_the_memory_of_a_runs_batch(configured: Compose) -> None:
    # A step is an observation of 4 float32, an action of 8 bytes and a reward of 8, in each of 16 environments.
    segments = ("algorithm.batch.episodes=null", "algorithm.open_tail=drop", "baseline=mean")
    short, long = (configured(*segments, f"algorithm.batch.steps={steps}") for steps in (100, 200))
    one, other = (trial.footprint for trial in try_out([short, long]))
    assert other - one == 16 * 100 * (4 * 4 + 8 + 8)


def test_kernels_are_compiled_before_workers_start(configured: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pair of dynamics and policy asks for the entry point of the acting loop."""
    asked = []
    entry_point = compilation.entry_point
    monkeypatch.setattr(
        compilation, "entry_point", lambda function, *types: asked.append(function) or entry_point(function, *types)
    )
    try_out([configured("baseline=none")])
    assert acting.play in asked


def test_the_environments_are_closed(configured: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    close = Run.close
    monkeypatch.setattr(Run, "close", lambda run: closed.append(run) or close(run))
    try_out([configured("baseline=none", "env=frozenlake")])
    assert len(closed) == 1
