"""What an environment gave that is no finite number is found, the first of it, and told with its place."""

from dataclasses import replace

import numpy as np
import pytest

from pgexp.functional.batch import Batch
from pgexp.learning.algorithm import DivergenceError
from pgexp.learning.finite import nonfinite
from tests.episodes import Episode, batch_of

# Two episodes of three and two steps; each step sees two numbers.
BATCH = batch_of(
    Episode([[1, 2]] * 3, [0] * 3, [1.0] * 3),
    Episode([[3, 4]] * 2, [0] * 2, [1.0] * 2),
)


def broken(rewards: dict[int, float], observations: dict[tuple[int, int], float]) -> Batch:
    batch = replace(
        BATCH, rewards=BATCH.rewards.copy(), observations=BATCH.observations.copy(), numbers=np.array([7, 8])
    )
    for step, value in rewards.items():
        batch.rewards[step] = value
    for place, value in observations.items():
        batch.observations[place] = value
    return batch


def test_a_sound_batch_has_nothing_to_tell() -> None:
    assert nonfinite(BATCH) is None


def test_bytes_are_always_finite() -> None:
    assert nonfinite(replace(BATCH, observations=np.full((5, 2), 255, np.uint8))) is None


def test_what_is_seen_after_the_last_step_is_left_out_since_no_action_follows() -> None:
    assert nonfinite(replace(BATCH, final=np.full_like(BATCH.final, np.nan))) is None


@pytest.mark.parametrize(
    ("rewards", "observations", "told"),
    [
        ({4: np.nan}, {}, "a reward of nan at step 1 of episode 8 in slot"),
        ({2: -np.inf, 4: np.nan}, {}, "a reward of -inf at step 2 of episode 7 in slot"),
        ({}, {(3, 1): np.inf}, "an observation that holds inf at step 0 of episode 8 in slot"),
        ({1: np.nan}, {(2, 0): np.nan}, "a reward of nan at step 1 of episode 7 in slot"),
        ({2: np.nan}, {(2, 0): np.inf}, "an observation that holds inf at step 2 of episode 7 in slot"),
    ],
)
def test_the_first_is_told(rewards: dict[int, float], observations: dict[tuple[int, int], float], told: str) -> None:
    found = nonfinite(broken(rewards, observations))
    assert isinstance(found, DivergenceError)
    assert str(found).startswith(f"the environment gave {told} ")
