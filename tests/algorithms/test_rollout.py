"""Acting paths: compiled loop and stepped environments give equal batches, and both report failures."""

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pgexp.algorithms import rollout as rollout_module
from pgexp.algorithms.agent import CompiledAgent, TorchAgent, make_agent
from pgexp.algorithms.collector import Collector
from pgexp.algorithms.errors import DivergenceError
from pgexp.algorithms.rollout import BatchBuffer, CompiledRollout, SteppedRollout
from pgexp.envs.compiled import DYNAMICS
from pgexp.execution.assembly import Run
from pgexp.functional.batch import Batch
from pgexp.kernels import acting
from pgexp.schema.config import Option, RunConfig
from tests import user_parts
from tests.algorithms.conftest import Assemble
from tests.conftest import Compose
from tests.softmax_runs import learn_from
from tests.streams import episode_seed, episode_uniforms

pytestmark = pytest.mark.filterwarnings("ignore:.*The environment CartPole-v0 is out of date")

COMMON = ("baseline=none", "algorithm.partial_episodes=drop", "evaluation.every=null")
EPISODES = (*COMMON, "env.num_envs=3", "algorithm.batch.episodes=6")
SEGMENTS = (*COMMON, "env.num_envs=3", "algorithm.batch.episodes=null", "algorithm.batch.steps=45")
BATCHES = pytest.mark.parametrize("batches", [EPISODES, SEGMENTS], ids=["episodes", "segments"])
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_dynamics"


def in_env(config: RunConfig, **changed: Any) -> RunConfig:
    return replace(config, env=replace(config.env, **changed))


def with_chance(run: Run) -> Run:
    """Set a run's parameters to numbers under which all actions have a chance, and which depend on all inputs."""
    chance = np.random.default_rng(3)
    for tensor in run.parameters.views.values():
        tensor.detach()[...] = torch.from_numpy(chance.normal(0.0, 0.4, tuple(tensor.shape)))
    return run


def assert_equal_batches(found: Batch, expected: Batch) -> None:
    """Compare all arrays: dtypes, shapes and bits."""
    for field in fields(Batch):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        if right is None:
            assert left is None, field.name
            continue
        assert (left.dtype, left.shape) == (right.dtype, right.shape), field.name
        assert left.tobytes() == right.tobytes(), field.name


def collected(assembled: Assemble, config: RunConfig, count: int = 3) -> list[Batch]:
    run = with_chance(assembled(config))
    return [run.collector.collect() for _ in range(count)]


class TestPaths:
    @BATCHES
    @pytest.mark.parametrize(
        "network", ["mlp", "gru", *(pytest.param(name, marks=pytest.mark.slow) for name in ("linear", "lstm"))]
    )
    @pytest.mark.parametrize("name", sorted(DYNAMICS))
    def test_compiled_and_sync_give_equal_batches(
        self, configured: Compose, assembled: Assemble, name: str, network: str, batches: tuple[str, ...]
    ) -> None:
        """Discrete actions have the categorical head, and real ones the Gaussian."""
        config = in_env(configured(*batches, f"network={network}"), id=name, max_episode_steps=50)
        run = assembled(config)
        assert isinstance(run.collector._rollout, CompiledRollout)
        expected = collected(assembled, config)
        stepped = collected(assembled, in_env(config, vectorization="sync"))
        for pair in zip(stepped, expected, strict=True):
            assert_equal_batches(*pair)
        assert len({tuple(row) for row in np.atleast_2d(expected[0].actions.T).T.tolist()}) > 1

    @BATCHES
    @pytest.mark.parametrize(
        ("name", "network", "dtype"),
        [
            ("CartPole-v1", "mlp", "float32"),
            pytest.param("Pendulum-v1", "gru", "float64", marks=pytest.mark.slow),
            pytest.param("Acrobot-v1", "lstm", "float64", marks=pytest.mark.slow),
            pytest.param("MountainCarContinuous-v0", "mlp", "float64", marks=pytest.mark.slow),
        ],
    )
    def test_so_do_worker_processes(
        self,
        configured: Compose,
        assembled: Assemble,
        name: str,
        network: str,
        dtype: str,
        batches: tuple[str, ...],
    ) -> None:
        config = in_env(configured(*batches, f"network={network}", f"dtype={dtype}"), id=name, max_episode_steps=50)
        stepped = collected(assembled, in_env(config, vectorization="async"))
        for pair in zip(stepped, collected(assembled, config), strict=True):
            assert_equal_batches(*pair)

    @BATCHES
    @pytest.mark.parametrize(
        ("name", "parts"),
        [
            ("CartPole-v1", {"network": Option("tests.user_networks.Residual", {})}),
            ("Pendulum-v1", {"network": Option("tests.user_networks.Residual", {})}),
            ("Pendulum-v1", {"head": Option("pgexp.networks.heads.box.BetaHead", {})}),
        ],
        ids=["module, discrete", "module, box", "beta head"],
    )
    def test_torch_policies_act_alike_on_dynamics_and_gymnasium(
        self, configured: Compose, assembled: Assemble, name: str, parts: dict[str, Option], batches: tuple[str, ...]
    ) -> None:
        composed = configured(*batches, "head=beta", "env=pendulum") if "head" in parts else configured(*batches)
        network = parts.get("network", composed.network)
        config = in_env(replace(composed, network=network), id=name, max_episode_steps=50)
        run = assembled(config)
        assert isinstance(run.collector._rollout, SteppedRollout)
        assert isinstance(run.collector._rollout.agent, TorchAgent)
        stepped = collected(assembled, in_env(config, vectorization="sync"))
        for pair in zip(stepped, collected(assembled, config), strict=True):
            assert_equal_batches(*pair)


class TestSizes:
    @pytest.mark.parametrize("vectorization", ["auto", "sync"])
    @pytest.mark.parametrize("network", ["mlp", "gru"])
    @pytest.mark.parametrize(("episodes", "count"), [(1, 1), (5, 5), (6, 2), (20, 4)])
    def test_an_episode_has_the_same_bits_for_any_k_and_n(
        self,
        configured: Compose,
        assembled: Assemble,
        episodes: int,
        count: int,
        network: str,
        vectorization: str,
    ) -> None:
        base = configured(*EPISODES, f"network={network}", "env.num_envs=5", "algorithm.batch.episodes=50")
        (reference,) = collected(assembled, base, 1)
        expected = {(int(one.environments[0]), int(one.numbers[0])): one for one, _ in reference.episodes()}
        settings = (f"env.num_envs={count}", f"algorithm.batch.episodes={episodes}")
        config = in_env(configured(*EPISODES, f"network={network}", *settings), vectorization=vectorization)
        share = episodes // count
        for number, batch in enumerate(collected(assembled, config, 2)):
            keys = [(i, number * share + n) for i in range(count) for n in range(share)]
            assert list(zip(batch.environments.tolist(), batch.numbers.tolist(), strict=True)) == keys
            for key, (episode, _) in zip(keys, batch.episodes(), strict=True):
                assert_equal_batches(episode, expected[key])


class TestResumableLoop:
    @BATCHES
    @pytest.mark.parametrize(("name", "network"), [("CartPole-v1", "gru"), ("Pendulum-v1", "mlp")])
    @pytest.mark.parametrize(("quota", "capacity"), [(1, 256), (7, 256), (200_000, 1), (7, 1)])
    def test_quota_and_buffers_do_not_change_the_batch(
        self,
        configured: Compose,
        assembled: Assemble,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        network: str,
        batches: tuple[str, ...],
        quota: int,
        capacity: int,
    ) -> None:
        config = in_env(configured(*batches, f"network={network}"), id=name, max_episode_steps=50)
        expected = collected(assembled, config)

        run = with_chance(assembled(config))
        monkeypatch.setattr(rollout_module, "INITIAL_CAPACITY", capacity)  # of the episodes' ends
        agent = make_agent(
            run.policy, run.parameters, run.env.action_space, config.num_envs, run.env.observation_size, False
        )
        assert isinstance(agent, CompiledAgent)
        assert run.env.dynamics is not None
        rollout = CompiledRollout(agent, BatchBuffer(agent, False, capacity=capacity), run.env.dynamics, 50)
        rollout.set_streams((config.seed, "env"), (config.seed, "action"))
        agent.settings[acting.QUOTA] = quota
        share = None if config.batch.episodes is None else config.batch.episodes // config.num_envs
        collector = Collector(rollout, share, config.batch.steps)
        for batch in expected:
            assert_equal_batches(collector.collect(), batch)

    def test_the_loop_returns_after_its_quota(self, configured: Compose, assembled: Assemble) -> None:
        """Three rows take a step per round, and rounds end once ten steps or more were taken."""
        run = assembled(in_env(configured(*SEGMENTS), max_episode_steps=1000))
        rollout = run.collector._rollout
        rollout.agent.settings[acting.QUOTA] = 10
        rollout.request(0, 45)
        counts = [int(rollout.rows["count"][0]) for _ in rollout.play()]
        assert counts == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 45]


class TestStreams:
    def test_actions_are_drawn_with_numpys_philox(self, configured: Compose, assembled: Assemble) -> None:
        """A zero policy takes action 1 if the uniform number is above a half."""
        for batches in (EPISODES, SEGMENTS):
            run = assembled(replace(configured(*batches, "network=linear"), seed=2**40 + 7))
            run.parameters.vector.zero_()
            for _ in range(2):
                batch = run.collector.collect()
                for episode, _ in batch.episodes():
                    environment, number, first = (
                        int(x[0]) for x in (episode.environments, episode.numbers, episode.first)
                    )
                    uniforms = episode_uniforms(
                        run.config.seed,
                        "action",
                        environment=environment,
                        episode=number,
                        steps=first + int(episode.lengths[0]),
                    )
                    assert episode.actions.tolist() == (uniforms[first:] >= 0.5).tolist()

    def test_environments_are_seeded_by_numpys_seed_sequence(self, configured: Compose, assembled: Assemble) -> None:
        """CartPole draws its first state from PCG64 of the seed."""
        run = assembled(replace(configured(*EPISODES), seed=2**40 + 7))
        for first in (0, 2):
            batch = run.collector.collect()
            for episode, _ in batch.episodes():
                seed = episode_seed(2**40 + 7, "env", int(episode.environments[0]), int(episode.numbers[0]))
                assert 0 <= seed < 2**31
                state = np.random.default_rng(seed).uniform(-0.05, 0.05, 4)
                assert episode.observations[0].tolist() == state.astype(np.float32).tolist()
            assert batch.numbers.tolist() == [first, first + 1] * 3


class TestMasks:
    @pytest.fixture
    def inventory(self, configured: Compose, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.syspath_prepend(str(EXAMPLE))
        own = Option("inventory.Inventory", {"price": 4.0, "cost": 2.0, "delivery": 3.0, "holding": 0.2})
        yield lambda *overrides: in_env(configured(*overrides), id="inventory", dynamics=own)
        sys.modules.pop("inventory", None)

    @BATCHES
    @pytest.mark.parametrize("network", ["mlp", "gru", "module"])
    def test_they_are_recorded_and_respected_on_all_paths(
        self, inventory: Any, assembled: Assemble, batches: tuple[str, ...], network: str
    ) -> None:
        config = inventory(*batches, *([] if network == "module" else [f"network={network}"]))
        if network == "module":
            config = replace(config, network=Option("tests.user_networks.Residual", {}))
        expected = collected(assembled, config)
        for batch in expected:
            stock = np.rint(batch.observations[:, :1] * 20)
            assert batch.masks is not None
            assert np.array_equal(batch.masks, stock + np.arange(21) <= 20)
            assert batch.masks[np.arange(batch.steps), batch.actions].all()
            assert not batch.masks.all(0)[5:].any()  # each larger order was forbidden at some step
        for pair in zip(collected(assembled, in_env(config, vectorization="sync")), expected, strict=True):
            assert_equal_batches(*pair)

    @pytest.mark.parametrize("network", ["linear", "module"])
    @pytest.mark.parametrize("kind", ["Levers", "Dials"])
    def test_components_are_masked_one_by_one(
        self, configured: Compose, assembled: Assemble, kind: str, network: str
    ) -> None:
        """A mask that allows none of the levers allows the action (0, 0, 0)."""
        own = Option(f"tests.user_parts.{kind}", {})
        config = in_env(configured(*EPISODES, "network=linear"), id="own", dynamics=own)
        if network == "module":
            config = replace(config, network=Option("tests.user_networks.Residual", {}))
        expected = collected(assembled, config)
        for batch in expected:
            assert batch.masks is not None
            state = np.arange(batch.steps) % int(batch.lengths[0])
            if kind == "Levers":
                divided = (state % 4)[:, None] % np.arange(1, 4) == 0
                assert np.array_equal(batch.masks, divided & (state % 4 > 0)[:, None])
                assert not batch.actions[~batch.masks].any()
                assert batch.actions[batch.masks].any()
            else:
                second = (state % 3)[:, None] != np.arange(3)
                assert np.array_equal(batch.masks, np.column_stack([state >= 0, state % 2 == 1, second]))
                assert batch.masks[:, :2][np.arange(batch.steps), batch.actions[:, 0]].all()
                assert batch.masks[:, 2:][np.arange(batch.steps), batch.actions[:, 1]].all()
        for pair in zip(collected(assembled, in_env(config, vectorization="sync")), expected, strict=True):
            assert_equal_batches(*pair)

    @pytest.mark.parametrize("network", ["linear", "module"])
    @pytest.mark.parametrize("vectorization", ["auto", "sync"])
    def test_a_component_without_a_choice_is_a_divergence(
        self, configured: Compose, assembled: Assemble, vectorization: str, network: str
    ) -> None:
        own = Option("tests.user_parts.Dials", {"stuck": True})
        config = in_env(configured(*EPISODES, "network=linear"), id="own", dynamics=own, vectorization=vectorization)
        if network == "module":
            config = replace(config, network=Option("tests.user_networks.Residual", {}))
        text = r"mask allows no action \(at step 60 of episode 0 in environment 0, each counted from 0\)"
        with pytest.raises(DivergenceError, match=text):
            assembled(config).collector.collect()

    def test_worker_processes_pass_them_on(self, inventory: Any, assembled: Assemble) -> None:
        config = inventory(*SEGMENTS)
        found = collected(assembled, in_env(config, vectorization="async"), 1)
        assert_equal_batches(found[0], collected(assembled, config, 1)[0])

    def test_without_masks_nothing_is_recorded(self, configured: Compose, assembled: Assemble) -> None:
        assert assembled(configured(*EPISODES)).collector.collect().masks is None

    def test_greedy_actions_are_allowed(self, inventory: Any, assembled: Assemble) -> None:
        run = assembled(inventory(*EPISODES, "network=linear"))
        run.parameters.vector.zero_()
        run.parameters.views["0.bias"].detach()[:] = torch.arange(21)  # the most probable order fills the shop
        rollout = run.collector._rollout
        rollout.request(1)
        for _ in rollout.play(greedy=True):
            pass
        batch = rollout.buffer.batch()
        assert batch.actions.tolist() == np.rint(20 - 20 * batch.observations[:, 0]).tolist()

    def test_learning_gives_forbidden_actions_probability_0(self, inventory: Any, assembled: Assemble) -> None:
        run = with_chance(assembled(inventory(*EPISODES, "network=linear")))
        batch = run.collector.collect()
        outputs = run.policy.forward(run.parameters.views, batch).parameters
        assert batch.masks is not None
        probabilities = torch.softmax(outputs, -1).detach().numpy()
        assert (probabilities[~batch.masks] == 0).all()
        assert (probabilities[batch.masks] > 0).all()
        assert np.isfinite(list(learn_from(run.trainer, batch).values())).all()
        assert run.parameters.vector.isfinite().all()


REASONS = {
    user_parts.NAN_REWARD: "the environment returned a reward that is not finite",
    user_parts.INFINITE_OBSERVATION: "the environment returned an observation that is not finite",
    user_parts.REFUSES: "the environment refused the action as invalid",
    user_parts.FORBIDS_ALL: "the environment's mask allows no action",
}


class TestFailures:
    """Episodes of 80 steps; those whose first draw exceeds 0.9 have a fault at step 60."""

    SEED = 4

    def faulty(self, configured: Compose, fault: int, *overrides: str, vectorization: str = "auto") -> RunConfig:
        own = Option("tests.user_parts.FaultyDynamics", {"fault": fault})
        config = configured(*overrides, "network=linear")
        return in_env(replace(config, seed=self.SEED), id="faulty", dynamics=own, vectorization=vectorization)

    def first_fault(self, environments: int = 3) -> tuple[int, int]:
        """Return the episode and the environment of the first fault; all environments play at the same pace."""
        draws = [
            [np.random.default_rng(episode_seed(self.SEED, "env", i, n)).random() for i in range(environments)]
            for n in range(100)
        ]
        return next((n, i) for n, row in enumerate(draws) for i, draw in enumerate(row) if draw > 0.9)

    def collect_until_failure(self, run: Run) -> int:
        for number in range(1000):
            run.collector.collect()
            assert number < 999
        return number

    @BATCHES
    @pytest.mark.parametrize("fault", REASONS)
    @pytest.mark.parametrize("path", ["compiled", "sync", pytest.param("torch", marks=pytest.mark.slow)])
    def test_a_fault_names_step_episode_and_environment(
        self, configured: Compose, assembled: Assemble, path: str, fault: int, batches: tuple[str, ...]
    ) -> None:
        config = self.faulty(configured, fault, *batches, vectorization="sync" if path == "sync" else "auto")
        if path == "torch":
            config = replace(config, network=Option("tests.user_networks.Residual", {}))
        episode, environment = self.first_fault()
        assert episode > 1
        place = f" (at step 60 of episode {episode} in environment {environment}, each counted from 0)"
        run = assembled(config)
        if fault == user_parts.REFUSES and path != "compiled":
            with pytest.raises(ValueError, match=r"the action is not allowed|refused the action"):
                self.collect_until_failure(run)
            return
        with pytest.raises(DivergenceError) as caught:
            self.collect_until_failure(run)
        assert str(caught.value) == REASONS[fault] + place

    @BATCHES
    @pytest.mark.parametrize("vectorization", ["auto", "sync"])
    def test_an_exception_in_dynamics_is_raised(
        self, configured: Compose, assembled: Assemble, batches: tuple[str, ...], vectorization: str
    ) -> None:
        run = assembled(self.faulty(configured, user_parts.RAISES, *batches, vectorization=vectorization))
        with pytest.raises(ValueError, match="the motor is stuck"):
            self.collect_until_failure(run)

    @pytest.mark.parametrize("vectorization", ["auto", "sync"])
    def test_a_final_observation_may_be_nan(self, configured: Compose, assembled: Assemble, vectorization: str) -> None:
        run = assembled(self.faulty(configured, user_parts.NAN_FINAL, *EPISODES, vectorization=vectorization))
        finals = np.concatenate([run.collector.collect().final for _ in range(10)])
        assert np.isnan(finals[:, 0]).any()
        assert np.isfinite(finals[:, 1]).all()

    def test_without_a_fault_nothing_is_raised(self, configured: Compose, assembled: Assemble) -> None:
        run = assembled(self.faulty(configured, user_parts.NO_FAULT, *EPISODES))
        batches = [run.collector.collect() for _ in range(10)]
        assert {int(length) for batch in batches for length in batch.lengths} == {user_parts.LENGTH}

    @pytest.mark.parametrize("path", ["compiled", "sync"])
    def test_outputs_that_are_not_finite_name_the_place(
        self, configured: Compose, assembled: Assemble, path: str
    ) -> None:
        config = in_env(configured(*EPISODES), vectorization="sync" if path == "sync" else "auto")
        run = assembled(config)
        run.parameters.vector[0] = float("nan")
        text = r"policy's outputs are not finite \(at step 0 of episode 0 in environment 0, each counted from 0\)"
        with pytest.raises(DivergenceError, match=text):
            run.collector.collect()
