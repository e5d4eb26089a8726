"""Named random streams of a run, keyed by its seed and a name.

A stream depends on its key alone, not on other streams or on earlier draws. Streams of neighbouring seeds are
independent, because ``numpy.random.SeedSequence`` hashes the whole key.
"""

from functools import cache
from zlib import crc32

import numpy as np

Name = str | int
Key = tuple[int, *tuple[Name, ...]]
"""Key of a stream: the seed, then names."""


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
    """Return the first 32-bit word of a stream, as a seed for a library with its own generators."""
    return int(sequence(seed, *names).generate_state(1)[0])
