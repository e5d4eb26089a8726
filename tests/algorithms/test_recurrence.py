"""Memory of recurrent policies: zero at an episode's first step, kept across segments, equal in actions and updates."""

import numpy as np
import pytest
import torch

from pgexp.execution.assembly import Run
from pgexp.functional.batch import Batch
from pgexp.networks.network import RecurrentNetwork
from tests.algorithms.conftest import MakeRun

SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.partial_episodes=drop", "env.num_envs=2", "dtype=float64")


def memory_after(run: Run, rows: np.ndarray) -> torch.Tensor:
    """Return the memory after each step of an episode [T, Z], computed step by step from zeros."""
    network, parameters = run.policy.network, run.parameters.views
    assert isinstance(network, RecurrentNetwork)
    memory, found = torch.zeros(1, network.memory_size, dtype=torch.float64), []
    for row in rows:
        encoded = network.encode(parameters, torch.from_numpy(row).reshape(1, -1))
        memory = network.advance(parameters, encoded, memory)
        found.append(memory[0])
    return torch.stack(found)


def requires_whole_episodes(batches: list[Batch]) -> dict[tuple[int, int], np.ndarray]:
    """Return the observations of each (environment, episode), joined over consecutive segments."""
    parts: dict[tuple[int, int], list[np.ndarray]] = {}
    for batch in batches:
        for episode, _ in batch.episodes():
            parts.setdefault(key_of(episode), []).append(episode.observations)
    return {key: np.concatenate(rows) for key, rows in parts.items()}


def key_of(episode: Batch) -> tuple[int, int]:
    return int(episode.environments[0]), int(episode.numbers[0])


@pytest.mark.parametrize("network", ["gru", "lstm"])
def test_a_part_of_an_episode_starts_with_the_memory_before_it(run_on: MakeRun, network: str) -> None:
    run = run_on("Diary", *SEGMENTS, "algorithm.batch.steps=5", f"network={network}", "network.units=3")
    batches = [run.collector.collect() for _ in range(6)]
    after = {key: memory_after(run, rows).detach().numpy() for key, rows in requires_whole_episodes(batches).items()}
    parts = [episode for batch in batches for episode, _ in batch.episodes()]
    assert any(part.first[0] > 0 for part in parts)
    for part in parts:
        first = int(part.first[0])
        before = after[key_of(part)][first - 1] if first else np.zeros(run.policy.memory_size)
        np.testing.assert_allclose(part.memory[0], before, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("network", ["gru", "lstm"])
def test_learning_computes_the_outputs_of_acting(run_on: MakeRun, network: str) -> None:
    run = run_on("Diary", *SEGMENTS, "algorithm.batch.steps=9", f"network={network}", "network.output_gain=1")
    parameters = run.parameters.views
    batches = [run.collector.collect() for _ in range(2)]
    rows = requires_whole_episodes(batches)
    for batch in batches:
        output = run.policy.forward(parameters, batch)
        for episode, steps in batch.episodes():
            first, count = int(episode.first[0]), int(episode.lengths[0])
            after = memory_after(run, rows[key_of(episode)])[first : first + count]
            expected = run.policy.network.decode(parameters, after).detach()
            np.testing.assert_allclose(output.parameters[steps].detach(), expected, rtol=1e-9, atol=1e-12)


def test_a_shared_value_uses_the_memory_after_each_step(run_on: MakeRun) -> None:
    run = run_on("Diary", "network=gru", "baseline=shared_value", "algorithm.batch.episodes=2", "dtype=float64")
    batch = run.collector.collect()
    prediction = run.trainer.state.baseline.predict(batch)
    assert prediction.per_step.shape == (batch.steps,)
    for index, (episode, steps) in enumerate(batch.episodes()):
        rows = np.concatenate([episode.observations, batch.final[index : index + 1]])
        values = run.policy.network.decode(run.parameters.views, memory_after(run, rows))[:, -1].detach()
        np.testing.assert_allclose(prediction.per_step[steps], values[:-1], rtol=1e-9, atol=1e-12)
        assert prediction.final[index] == pytest.approx(float(values[-1]), rel=1e-9)
