"""Random streams, which depend on their whole key and on nothing else."""

import itertools
from zlib import crc32

import numpy as np
import pytest

from pgexp.schema.streams import generator, integer, sequence


def test_stream_is_the_seed_sequence_of_its_key() -> None:
    by_hand = np.random.SeedSequence(entropy=3, spawn_key=(crc32(b"env"), 2, 5))
    assert sequence(3, "env", 2, 5).generate_state(8).tolist() == by_hand.generate_state(8).tolist()
    assert integer(3, "env", 2, 5) == by_hand.generate_state(1)[0]
    assert generator(3, "env", 2, 5).random(9).tolist() == np.random.default_rng(by_hand).random(9).tolist()


def test_each_call_returns_the_start_of_a_stream() -> None:
    first = generator(3, "action", 0, 1).random(5)
    generator(3, "action", 0, 2).random(1_000)
    assert generator(3, "action", 0, 1).random(5).tolist() == first.tolist()


def test_numpy_integers_give_the_same_key() -> None:
    assert integer(3, "env", np.int64(2)) == integer(3, "env", 2)


@pytest.mark.parametrize(
    "other",
    [
        (1, "env", 0, 2),  # another seed
        (0, "action", 0, 2),  # another name
        (0, "env", 2, 0),  # another order
        (0, "env", 0, 3),
        (0, "env", 1, 2),
        (0, "env", 0),  # shorter
        (0, "env", 0, 2, 0),  # longer, by a zero
        (0, 0, "env", 2),
    ],
)
def test_every_part_of_a_key_matters(other: tuple[int, *tuple[str | int, ...]]) -> None:
    assert sequence(*other).generate_state(4).tolist() != sequence(0, "env", 0, 2).generate_state(4).tolist()


def test_neighbouring_streams_share_no_number() -> None:
    # 640,000 words of 64 bits: the chance that any two are equal is 1.1e-8.
    keys = itertools.product(range(20), ("env", "action"), range(4), range(4))
    words = np.concatenate([generator(*key).integers(2**64, size=1_000, dtype=np.uint64) for key in keys])
    assert len(np.unique(words)) == len(words) == 640_000


def test_global_generator_is_unchanged() -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    generator(0, "env").random(10)
    assert np.random.get_state()[1].tolist() == before
