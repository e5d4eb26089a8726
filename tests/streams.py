"""Random streams computed with NumPy alone, as the documentation defines them."""

from zlib import crc32

import numpy as np

Name = str | int


def sequence(seed: int, *names: Name) -> np.random.SeedSequence:
    """Return the seed sequence of the stream (seed, *names); a text counts as its CRC-32."""
    words = [crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.SeedSequence(seed, spawn_key=words)


def episode_seed(seed: int, *names: Name) -> int:
    """Return the seed of an episode: the first word of its stream, without the highest bit."""
    return int(sequence(seed, *names).generate_state(1)[0]) % 2**31


def action_uniforms(key: np.ndarray, environment: int, episode: int, time: int, count: int = 1) -> np.ndarray:
    """Return the uniform numbers of an action's components, [count].

    NumPy's Philox increments its counter (component, time, episode, environment) before it computes a block.
    """
    counter = (time << 64) + (episode << 128) + (environment << 192) - 1
    return np.random.Generator(np.random.Philox(counter=counter % 2**256, key=key)).random(count)


def episode_uniforms(seed: int, *names: Name, environment: int, episode: int, steps: int) -> np.ndarray:
    """Return the uniform number of each action of an episode under the key (seed, *names), [steps]."""
    key = sequence(seed, *names).generate_state(2, np.uint64)
    return np.array([action_uniforms(key, environment, episode, time)[0] for time in range(steps)])
