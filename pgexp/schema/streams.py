"""Named random streams: everything random in a run is drawn from a stream keyed by the run's seed and a name.

A stream depends on nothing but its key: not on other streams, or on how often anything was drawn before.
Neighbouring seeds share nothing (``numpy.random.SeedSequence`` hashes its whole key).
"""

from functools import cache
from zlib import crc32

import numpy as np

Name = str | int
Key = tuple[int, *tuple[Name, ...]]
"""A stream's key: the seed, then names."""


@cache
def _word(name: Name) -> int:
    return crc32(name.encode()) if isinstance(name, str) else name


def sequence(seed: int, *names: Name) -> np.random.SeedSequence:
    """Return the seed sequence of a stream, e.g. ``sequence(3, "env", environment, episode)``."""
    return np.random.SeedSequence(entropy=seed, spawn_key=tuple(map(_word, names)))


def generator(seed: int, *names: Name) -> np.random.Generator:
    """Return a fresh NumPy generator at the beginning of a stream."""
    return np.random.Generator(np.random.PCG64(sequence(seed, *names)))


def integer(seed: int, *names: Name) -> int:
    """Return a stream's first 32-bit word: the seed to hand to a library that has generators of its own."""
    return int(sequence(seed, *names).generate_state(1)[0])
