"""Assembly of runs and its errors."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pgexp.algorithms.agent import CompiledAgent, TorchAgent
from pgexp.algorithms.rollout import CompiledRollout, SteppedRollout
from pgexp.envs.bank import GymnasiumBank
from pgexp.execution.assembly import assemble, instantiate
from pgexp.networks.feedforward import Linear
from pgexp.networks.network import Network
from pgexp.schema.config import Option
from pgexp.schema.errors import UserError
from tests.conftest import Compose
from tests.user_parts import LENGTH

LINEAR = {"bias": True, "initialization": "zeros", "gain": 1.0}
RESIDUAL = Option("tests.user_networks.Residual", {})
SMALL = ("baseline=none", "algorithm.batch.episodes=4", "env.num_envs=2")


def refusal(target: str, kind: type = Network, **arguments: object) -> str:
    with pytest.raises(UserError) as refused:
        instantiate("network", Option(target, arguments), kind, inputs=2, outputs=3)
    return str(refused.value)


def test_a_constructor_gets_the_arguments_that_it_takes() -> None:
    made = instantiate(
        "network", Option("pgexp.networks.feedforward.Linear", LINEAR), Network, inputs=2, outputs=3, seed=4
    )
    assert isinstance(made, Linear)
    assert math.prod(made.initial(lambda name: torch.Generator())["0.weight"].shape) == 2 * 3


def test_a_class_of_another_kind_is_refused() -> None:
    text = refusal("tests.execution.own.mine.Unrelated")
    assert text.startswith("network._target_: tests.execution.own.mine.Unrelated must be a subclass of pgexp.networks.")


def test_a_function_is_refused() -> None:
    assert "must be a subclass of" in refusal("tests.execution.own.mine.interrupt")


@pytest.mark.parametrize("target", ["tests.execution.own.mien.Squeeze", "tests.execution.own.mine.Squooze"])
def test_a_class_that_cannot_be_imported_is_refused(target: str) -> None:
    assert refusal(target).startswith(f"network._target_: {target} cannot be imported: ")


def test_a_constructor_that_refuses_its_arguments() -> None:
    text = refusal("pgexp.networks.feedforward.Linear")
    assert text.startswith("network: Linear refuses its arguments: ")
    assert "'bias', 'initialization', and 'gain'" in text


def test_contradictions_are_reported_by_their_keys(configured: Compose) -> None:
    segments = ("algorithm.batch.episodes=null", "algorithm.batch.steps=8")
    with pytest.raises(UserError) as refused:
        assemble(configured("baseline=none", *segments, "algorithm.time_limit=bootstrap"))
    assert [problem.key for problem in refused.value.problems] == [
        "algorithm.time_limit",
        "algorithm.partial_episodes",
    ]


def test_the_optimizer_changes_the_agents_parameters(configured: Compose) -> None:
    run = assemble(configured("baseline=none"))
    vector = run.parameters.vector
    inside = range(vector.data_ptr(), vector.data_ptr() + vector.nbytes)
    optimized = [tensor for group in run.trainer.state.optimizer.param_groups for tensor in group["params"]]
    # CartPole: 4 inputs, 2 hidden layers of 32 units, 2 outputs, each layer with biases.
    assert sum(tensor.numel() for tensor in optimized) == (4 + 1) * 32 + (32 + 1) * 32 + (32 + 1) * 2
    assert all(tensor.data_ptr() in inside for tensor in optimized)
    agent = run.collector._rollout.agent
    assert isinstance(agent, CompiledAgent)
    assert np.shares_memory(agent.arguments.parameters, vector.numpy())


@pytest.mark.parametrize(
    ("overrides", "rollout", "agent"),
    [
        ((), CompiledRollout, CompiledAgent),
        (("env.vectorization=sync",), SteppedRollout, CompiledAgent),
        (("env=mountaincar_continuous", "head=beta"), SteppedRollout, TorchAgent),
        (("env=frozenlake",), SteppedRollout, CompiledAgent),
    ],
    ids=["dynamics and policy have kernels", "sync", "the head has no kernel", "the environment has no kernel"],
)
def test_a_run_is_compiled_if_all_its_parts_have_kernels(
    configured: Compose, overrides: tuple[str, ...], rollout: type, agent: type
) -> None:
    run = assemble(configured(*SMALL, *overrides))
    assert type(run.collector._rollout) is rollout
    assert type(run.collector._rollout.agent) is agent


class TestOwnDynamics:
    OWN = ("env.id=Faulty", "env.dynamics={_target_:tests.user_parts.FaultyDynamics,fault:0,at:3}")

    def test_a_run_trains_in_them(self, configured: Compose) -> None:
        run = assemble(configured(*SMALL, *self.OWN))
        assert type(run.collector._rollout) is CompiledRollout
        assert (run.env.id, run.env.observation_size) == ("Faulty", 2)
        assert run.env.dynamics is not None
        assert list(run.env.dynamics.parameters) == [0, 3]
        assert run.collector.collect().lengths.tolist() == [LENGTH] * 4

    def test_the_configs_time_limit_replaces_their_own(self, configured: Compose) -> None:
        levers = ("env.id=Levers", "env.dynamics={_target_:tests.user_parts.Levers}")
        assert assemble(configured(*SMALL, *levers)).env.max_episode_steps == 12
        shorter = assemble(configured(*SMALL, *levers, "env.max_episode_steps=5"))
        assert shorter.collector.collect().lengths.tolist() == [5] * 4

    @pytest.mark.parametrize("vectorization", ["sync", pytest.param("async", marks=pytest.mark.slow)])
    def test_they_can_be_stepped_one_by_one(self, configured: Compose, vectorization: str) -> None:
        compiled = assemble(configured(*SMALL, *self.OWN)).collector.collect()
        run = assemble(configured(*SMALL, *self.OWN, f"env.vectorization={vectorization}"))
        stepped = run.collector.collect()
        run.close()
        np.testing.assert_array_equal(stepped.observations, compiled.observations)
        np.testing.assert_array_equal(stepped.rewards, compiled.rewards)

    def test_a_class_of_another_kind_is_refused(self, configured: Compose) -> None:
        config = configured(*SMALL, "env.dynamics={_target_:tests.execution.own.mine.Unrelated}")
        with pytest.raises(UserError, match=r"^env\.dynamics\._target_: .* must be a subclass of pgexp\.envs\."):
            assemble(config)


class TestOwnModule:
    """A `torch.nn.Module` as `network._target_`."""

    def test_it_acts_in_torch(self, configured: Compose) -> None:
        run = assemble(replace(configured(*SMALL), network=RESIDUAL))
        # CartPole: 4 inputs, 2 outputs. The output layer reads the 8 hidden units and the inputs.
        assert {name: tuple(tensor.shape) for name, tensor in run.parameters.views.items()} == {
            "network.hidden.weight": (8, 4),
            "network.hidden.bias": (8,),
            "network.output.weight": (2, 12),
            "network.output.bias": (2,),
        }
        assert type(run.collector._rollout.agent) is TorchAgent

    def test_its_outputs_are_those_of_the_module(self, configured: Compose) -> None:
        run = assemble(replace(configured(*SMALL), network=RESIDUAL))
        p = {name.removeprefix("network."): tensor.detach().numpy() for name, tensor in run.parameters.views.items()}
        x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
        hidden = np.maximum(x @ p["hidden.weight"].T + p["hidden.bias"], 0)
        expected = np.concatenate([hidden, x], 1) @ p["output.weight"].T + p["output.bias"]
        with torch.no_grad():
            found = run.policy.network(run.parameters.views, torch.from_numpy(x))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)

    def test_a_sequential_acts_in_compiled_code(self, configured: Compose) -> None:
        config = configured(*SMALL)
        run = assemble(replace(config, network=Option("tests.execution.own.mine.Tower", {"units": 5})))
        assert type(run.collector._rollout.agent) is CompiledAgent
        assert run.collector.collect().steps > 0
        with pytest.raises(UserError, match=r"^network: Tower cannot be used: .*dropout"):
            assemble(replace(config, network=Option("tests.execution.own.mine.Tower", {"units": 5, "dropout": 0.1})))

    def test_it_learns(self, configured: Compose) -> None:
        run = assemble(replace(configured(*SMALL), network=RESIDUAL))
        before = {name: tensor.detach().clone() for name, tensor in run.parameters.views.items()}
        run.trainer.update()
        assert all(not torch.equal(before[name], tensor) for name, tensor in run.parameters.views.items())


def test_banks_are_made_when_they_are_used(configured: Compose) -> None:
    run = assemble(configured(*SMALL, "env=frozenlake"))
    rollout = run.collector._rollout
    assert isinstance(rollout, SteppedRollout)
    assert isinstance(rollout.bank, GymnasiumBank)
    assert rollout.bank._envs == {}
    run.collector.collect()
    assert len(rollout.bank._envs) == 2
