"""Random streams in kernels against NumPy's, bit for bit, and normal quantiles against SciPy's and mpmath's."""

import mpmath
import numpy as np
import pytest
from gymnasium.utils import seeding
from numpy.typing import NDArray
from scipy import special, stats

from pgexp.kernels import random as streams_in_kernels
from pgexp.kernels.compilation import kernel
from pgexp.kernels.random import (
    action_key,
    action_uniforms,
    episode_seed,
    integers,
    next_uint64,
    normal_quantile,
    philox,
    random,
    seed_generator,
    seed_prefix,
    standard_normal,
    uniform,
)
from pgexp.schema import streams

SEEDS = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 7, 2**62 + 3, 2**63 - 1]
RUN_SEEDS = [0, 3, 2**31 - 1, 2**32, 2**64 + 5, 2**128 - 1, 2**128, 2**200 + 9]
NAMES: list[tuple[streams.Name, ...]] = [(), ("env",), ("evaluation", 4000), ("x", 0, 2**32, "y"), (2**40 + 1,)]
LARGEST = 2**64 - 1


def philox_words(counter: list[int], key: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return NumPy's words from the block of this counter on. NumPy increments the counter before the first block."""
    number = (sum(word << (64 * i) for i, word in enumerate(counter)) - 1) % 2**256
    before = np.array([number >> (64 * i) & LARGEST for i in range(4)], np.uint64)
    return np.random.Philox(key=key, counter=before).random_raw(count)


def generators(seed: int) -> tuple[NDArray[np.uint64], np.random.Generator]:
    rng = np.zeros(4, np.uint64)
    seed_generator(seed, rng)
    return rng, np.random.Generator(np.random.PCG64(seed))


def words(count: int, random_source: np.random.Generator) -> list[int]:
    return [int(word) for word in random_source.integers(0, LARGEST, count, np.uint64, endpoint=True)]


class TestPhilox:
    def test_blocks_equal_numpy(self) -> None:
        source = np.random.default_rng(0)
        for _ in range(3000):
            counter, key = words(4, source), np.array(words(2, source), np.uint64)
            found = philox(*np.array(counter, np.uint64), *key)
            assert list(found) == philox_words(counter, key, 4).tolist()

    def test_extreme_counters_and_keys(self) -> None:
        for counter in ([0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [LARGEST] * 4):
            for key in (np.zeros(2, np.uint64), np.full(2, LARGEST, np.uint64)):
                assert list(philox(*np.array(counter, np.uint64), *key)) == philox_words(counter, key, 4).tolist()

    def test_plain_integers(self) -> None:
        assert list(philox(6, 0, 0, 0, 3, 7)) == philox_words([6, 0, 0, 0], np.array([3, 7], np.uint64), 4).tolist()

    @pytest.mark.parametrize("components", [0, 1, 2, 3, 4, 5, 8, 9, 17])
    def test_action_uniforms_equal_numpy(self, components: int) -> None:
        source = np.random.default_rng(1)
        places = [tuple(map(int, source.integers(0, 2**31, 3))) for _ in range(200)]
        for seed, (environment, episode, time) in enumerate([(0, 0, 0), (0, 2**31, 2**40), *places]):
            key, uniforms = action_key(seed, "action"), np.full(components, -1.0)
            action_uniforms(key, environment, episode, time, uniforms)
            raw = philox_words([0, time, episode, environment], key, max(components, 1))[:components]
            np.testing.assert_array_equal(uniforms, (raw >> np.uint64(11)) * 2.0**-53)

    def test_uniforms_are_those_of_a_numpy_generator(self) -> None:
        key, uniforms = action_key(5, "action"), np.zeros(4)
        action_uniforms(key, 0, 0, 3, uniforms)
        before = np.array([LARGEST, 2, 0, 0], np.uint64)
        np.testing.assert_array_equal(
            uniforms, np.random.Generator(np.random.Philox(key=key, counter=before)).random(4)
        )


@pytest.mark.parametrize("seed", RUN_SEEDS)
@pytest.mark.parametrize("names", NAMES)
class TestKeys:
    def test_action_key(self, seed: int, names: tuple[streams.Name, ...]) -> None:
        key = action_key(seed, *names)
        assert key.dtype == np.uint64
        np.testing.assert_array_equal(key, streams.sequence(seed, *names).generate_state(2, np.uint64))

    def test_episode_seed(self, seed: int, names: tuple[streams.Name, ...]) -> None:
        prefix = seed_prefix(seed, *names)
        assert prefix.dtype == np.uint32
        source = np.random.default_rng(2)
        pairs = [(0, 0), (0, 2**31), (7, 2**32 - 1), (2**32 - 1, 1), *source.integers(0, 2**32, (100, 2)).tolist()]
        for environment, episode in pairs:
            expected = streams.integer(seed, *names, environment, episode) & 0x7FFFFFFF
            assert episode_seed(prefix, environment, episode) == expected


class TestGenerator:
    def test_state_equals_pcg64(self) -> None:
        for seed in [*SEEDS, *np.random.default_rng(3).integers(0, 2**31, 2000).tolist()]:
            rng, generator = generators(seed)
            state = generator.bit_generator.state["state"]
            assert (int(rng[0]) << 64) + int(rng[1]) == state["state"]
            assert (int(rng[2]) << 64) + int(rng[3]) == state["inc"]

    @pytest.mark.parametrize("seed", SEEDS)
    def test_words_and_uniforms_equal_numpy(self, seed: int) -> None:
        rng, generator = generators(seed)
        for _ in range(500):
            assert next_uint64(rng) == generator.bit_generator.random_raw()
            assert random(rng) == generator.random()
            assert uniform(rng, -0.05, 0.05) == generator.uniform(-0.05, 0.05)
            assert uniform(rng, 1e-3, 12345.6) == generator.uniform(1e-3, 12345.6)

    def test_normals_equal_numpy(self) -> None:
        rng, generator = generators(11)
        found = np.zeros(400_000)
        fill_with_normals(rng, found)
        np.testing.assert_array_equal(found, generator.standard_normal(found.size))
        assert np.abs(found).max() > 3.66  # the tail's algorithm was used
        assert next_uint64(rng) == generator.bit_generator.random_raw()

    @pytest.mark.parametrize("n", [1, 2**32 + 1, 2**40, 3 * 2**61, int(2**64 / 3.5), 2**63 - 1])
    def test_integers_of_large_ranges_equal_numpy(self, n: int) -> None:
        rng, generator = generators(12)
        for _ in range(1000):
            assert integers(rng, n) == generator.integers(n)
        assert next_uint64(rng) == generator.bit_generator.random_raw()

    @pytest.mark.parametrize("n", [2, 3, 10, 2**32])
    def test_integers_of_small_ranges_are_uniform(self, n: int) -> None:
        rng, _ = generators(13)
        found = np.array([integers(rng, n) for _ in range(20_000)])
        assert found.min() >= 0
        assert found.max() < n
        counts = np.bincount(found * min(n, 16) // n, minlength=min(n, 16))
        assert stats.chisquare(counts).pvalue > 1e-3

    def test_gymnasium_generator(self) -> None:
        generator, _ = seeding.np_random(123)
        rng, _ = generators(123)
        found = [uniform(rng, -0.6, -0.4) for _ in range(4)]
        np.testing.assert_array_equal(found, generator.uniform(-0.6, -0.4, size=(4,)))
        assert standard_normal(rng) == generator.standard_normal()

    def test_use_inside_a_kernel(self) -> None:
        rng, state = np.zeros(4, np.uint64), np.zeros(3)
        prefix = seed_prefix(5, "env")
        reset(prefix, 2, 9, rng, state)
        seed = streams.integer(5, "env", 2, 9) & 0x7FFFFFFF
        generator = np.random.Generator(np.random.PCG64(seed))
        assert state.tolist() == [generator.uniform(-1, 1), generator.standard_normal(), generator.random()]


class TestNormalQuantile:
    def test_against_scipy(self) -> None:
        u = np.random.default_rng(6).random(200_000)
        u = np.concatenate([u, u * 2.0**-10 // 2.0**-53 * 2.0**-53, np.arange(2000) * 2.0**-53, 1 - u * 2.0**-12])
        u = u[u < 1]
        distance = (u - 0.5) + 2.0**-54  # from one half, exact
        lower = special.ndtri(0.5 - np.abs(distance))
        expected = np.where(distance < 0, lower, -lower)
        found = np.zeros(u.size)
        fill_with_quantiles(u, found)
        np.testing.assert_allclose(found, expected, rtol=4e-15, atol=1e-16)

    def test_against_mpmath(self) -> None:
        u = np.random.default_rng(7).random(300)
        u = np.concatenate([u, u[:100] * 2.0**-20, u[:100] * 2.0**-45]) // 2.0**-53 * 2.0**-53
        with mpmath.workdps(50):
            for value in [0.0, 1 - 2.0**-53, 0.5, 0.5 - 2.0**-53, 0.075, 0.925, *u.tolist()]:
                expected = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(value) - 1 + mpmath.mpf(2) ** -53)
                assert abs(normal_quantile(value) / expected - 1) < 1e-15, value

    def test_is_finite_and_symmetric(self) -> None:
        for k in [0, 1, 2, 1000, 2**40, 2**52 - 1]:
            lower, upper = normal_quantile(k * 2.0**-53), normal_quantile((2**53 - 1 - k) * 2.0**-53)
            assert -8.3 < lower < 0
            assert upper == -lower

    def test_is_monotone_where_the_formulas_meet(self) -> None:
        for boundary in (0.075, 0.925, float(np.exp(-25.0))):
            u = boundary // 2.0**-53 * 2.0**-53 + np.arange(-2000, 2000) * 2.0**-44
            u = u[u >= 0]
            found = np.zeros(u.size)
            fill_with_quantiles(u, found)
            assert (np.diff(found) > 0).all()


@kernel
def fill_with_normals(rng, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = standard_normal(rng)


@kernel
def fill_with_quantiles(u, out):  # type: ignore[no-untyped-def]
    for i in range(u.size):
        out[i] = normal_quantile(u[i])


@kernel
def reset(prefix, environment, episode, rng, state):  # type: ignore[no-untyped-def]
    seed_generator(episode_seed(prefix, environment, episode), rng)
    state[0] = uniform(rng, -1.0, 1.0)
    state[1] = streams_in_kernels.standard_normal(rng)
    state[2] = random(rng)
