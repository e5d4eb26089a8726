"""What assembly refuses to build, and how it says so."""

import pytest
import torch

from pgexp.execution.assembly import assemble, build
from pgexp.networks.linear import Linear
from pgexp.networks.network import Network
from pgexp.schema.config import Option
from pgexp.schema.errors import ConfigError
from tests.conftest import Compose

LINEAR = {"bias": True, "initialization": "zeros", "gain": 1.0}


def refusal(target: str, kind: type = Network, **arguments: object) -> str:
    with pytest.raises(ConfigError) as refused:
        build("network", Option(target, arguments), kind, inputs=2, outputs=3)
    return str(refused.value)


def test_an_option_is_handed_what_its_constructor_takes() -> None:
    made = build("network", Option("pgexp.networks.linear.Linear", LINEAR), Network, inputs=2, outputs=3, seed=4)
    assert isinstance(made, Linear)
    assert made.initial(lambda name: torch.Generator())["0.weight"].shape == (2, 3)


def test_a_class_of_another_kind_is_refused() -> None:
    said = refusal("tests.execution.own.mine.Unrelated")
    assert said == (
        "network._target_: tests.execution.own.mine.Unrelated is no pgexp.networks.network.Network; "
        "derive it from that class"
    )


def test_what_is_no_class_is_refused() -> None:
    assert "is no pgexp.networks.network.Network" in refusal("tests.execution.own.mine.interrupt")


@pytest.mark.parametrize("target", ["tests.execution.own.mien.Squeeze", "tests.execution.own.mine.Squooze"])
def test_a_class_that_cannot_be_imported_is_refused(target: str) -> None:
    assert refusal(target).startswith(f"network._target_: {target} can't be imported: ")


def test_arguments_that_a_constructor_refuses_are_told_in_its_words() -> None:
    assert refusal("pgexp.networks.linear.Linear") == (
        "network: Linear refuses its arguments: Linear.__init__() missing 3 required positional arguments: "
        "'bias', 'initialization', and 'gain'"
    )


def test_every_contradiction_is_told_with_its_key(configured: Compose) -> None:
    segments = ("algorithm.batch.episodes=null", "algorithm.batch.steps=8")
    with pytest.raises(ConfigError) as refused:
        assemble([configured("baseline=none", *segments, "algorithm.time_limit=bootstrap")])
    assert [problem.key for problem in refused.value.problems] == [
        "algorithm.time_limit=bootstrap",
        "algorithm.open_tail=bootstrap",
    ]


def test_a_contradiction_is_found_in_any_run_of_a_pack(configured: Compose) -> None:
    fine, wrong = configured("baseline=value"), configured("baseline=none", "algorithm.time_limit=bootstrap")
    with pytest.raises(ConfigError, match=r"algorithm\.time_limit=bootstrap"):
        assemble([fine, wrong])


def test_learners_step_on_the_stack_that_the_pack_acts_by(configured: Compose) -> None:
    pack = assemble([configured("seed=0"), configured("seed=1")])
    for run, learner in enumerate(pack.learners):
        for name, tensor in learner.student.parameters.items():
            assert tensor.data_ptr() == pack.stacked[name][run].data_ptr()
            assert tensor.shape == (1, *pack.stacked[name].shape[1:])
