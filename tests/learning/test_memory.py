"""A recurrent policy's memory: zero where an episode begins, kept where a segment cuts it, the same read as acted."""

import numpy as np
import pytest
import torch

from pgexp.functional.batch import Batch
from pgexp.networks.network import RecurrentNetwork
from tests.learning.conftest import MakePack

SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.open_tail=drop", "env.slots=2", "dtype=float64")


def stepped(network: RecurrentNetwork, parameters: dict[str, torch.Tensor], rows: np.ndarray) -> list[torch.Tensor]:
    """Return what an episode's memory is after each of its steps, one after another from zeros."""
    memory, found = torch.zeros(1, 1, network.memory_size, dtype=torch.float64), []
    for row in rows:
        encoded = network.encode(parameters, torch.from_numpy(row).reshape(1, 1, -1))
        memory = network.advance(parameters, encoded, memory)
        found.append(memory[0, 0])
    return found


def whole_episodes(batches: list[Batch], slot: int) -> dict[int, np.ndarray]:
    """Return the observations of a slot's episodes, as segments in a row hold them."""
    parts: dict[int, list[np.ndarray]] = {}
    for batch in batches:
        for episode, _ in batch.episodes():
            if episode.slots[0] == slot:
                parts.setdefault(int(episode.numbers[0]), []).append(episode.observations)
    return {number: np.concatenate(rows) for number, rows in parts.items()}


@pytest.mark.parametrize("network", ["gru", "lstm"])
def test_a_part_of_an_episode_goes_on_with_what_was_remembered(pack_on: MakePack, network: str) -> None:
    pack = pack_on("Diary", *SEGMENTS, "algorithm.batch.steps=5", f"network={network}", "network.units=3")
    batches = [pack.collector.collect(pack.stacked, [0])[0] for _ in range(6)]
    held = [episode for batch in batches for episode, _ in batch.episodes()]
    assert any(episode.first[0] > 0 for episode in held)
    for slot in (0, 1):
        for number, rows in whole_episodes(batches, slot).items():
            after = stepped(pack.policy.network, pack.stacked, rows)
            for episode in held:
                if (episode.slots[0], episode.numbers[0]) != (slot, number):
                    continue
                first = int(episode.first[0])
                before = after[first - 1].numpy() if first else np.zeros(pack.policy.memory_size)
                np.testing.assert_allclose(episode.memory[0], before, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("network", ["gru", "lstm"])
def test_a_batch_is_read_as_it_was_acted(pack_on: MakePack, network: str) -> None:
    pack = pack_on("Diary", *SEGMENTS, "algorithm.batch.steps=9", f"network={network}")
    decode, parameters = pack.policy.network.decode, pack.stacked
    batches = [pack.collector.collect(parameters, [0])[0] for _ in range(2)]
    for batch in batches:
        reading = pack.policy.read(parameters, batch)
        for episode, steps in batch.episodes():
            rows = whole_episodes(batches, int(episode.slots[0]))[int(episode.numbers[0])]
            first, count = int(episode.first[0]), int(episode.lengths[0])
            after = torch.stack(stepped(pack.policy.network, parameters, rows))[first : first + count]
            np.testing.assert_allclose(
                reading.parameters[steps].detach(), decode(parameters, after.unsqueeze(0))[0], rtol=1e-9, atol=1e-12
            )


def test_a_shared_value_is_read_off_the_memory_after_the_last_step(pack_on: MakePack) -> None:
    shared = ("network=gru", "baseline=shared_value", "algorithm.batch.episodes=2", "dtype=float64")
    pack = pack_on("Diary", *shared)
    (batch,) = pack.collector.collect(pack.stacked, [0])
    prediction = pack.learners[0].student.baseline.predict(batch)
    assert prediction.of_steps.shape == (batch.steps,)
    for index, (episode, steps) in enumerate(batch.episodes()):
        rows = np.concatenate([episode.observations, batch.final[index : index + 1]])
        after = torch.stack(stepped(pack.policy.network, pack.stacked, rows)).unsqueeze(0)
        values = pack.policy.network.decode(pack.stacked, after)[0, :, -1]
        np.testing.assert_allclose(prediction.of_steps[steps], values[:-1], rtol=1e-9, atol=1e-12)
        assert prediction.final[index] == pytest.approx(float(values[-1]), rel=1e-9)
