"""Random streams for kernels: Philox4x64 for actions, and NumPy's PCG64 and SeedSequence for environments.

An action's uniforms are a function of their key and counter: (component, time, episode, environment). An environment
draws from its own generator, `rng`: four uint64 words with the state of a NumPy PCG64.

    from pgexp.kernels.random import standard_normal, uniform

    def reset(state, rng, parameters):
        state[0] = uniform(rng, -0.05, 0.05)
        state[1] = standard_normal(rng)

After `seed_generator(seed, rng)`, `next_uint64`, `random`, `uniform` and `standard_normal` return the numbers that
`numpy.random.Generator(PCG64(seed))` returns, which is the generator of a Gymnasium environment after
`reset(seed=seed)`.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.random._constants import fi_double, ki_double, wi_double, ziggurat_nor_inv_r, ziggurat_nor_r
from numpy.typing import NDArray

from pgexp.kernels.compilation import kernel
from pgexp.schema.streams import Name, sequence

_0, _1, _8, _9, _11, _16, _32, _58, _63, _64 = map(np.uint64, (0, 1, 8, 9, 11, 16, 32, 58, 63, 64))
_LOW_32: Final = np.uint64(0xFFFFFFFF)
_TO_UNIT: Final = 2.0**-53

_PHILOX_M0, _PHILOX_M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_PHILOX_W0, _PHILOX_W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_PCG_HIGH, _PCG_LOW = np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645)  # PCG64's multiplier

# SeedSequence: 32-bit constants, in uint64 arithmetic.
_INIT_A, _MULTIPLY_A = np.uint64(0x43B0D7E5), np.uint64(0x931E8875)
_OUTPUT: Final = np.array([0x8B51F9DD * 0x58F38DED**i % 2**32 for i in range(9)], np.uint64)
_MIX_LEFT, _MIX_RIGHT = np.uint64(0xCA01F9DD), np.uint64(0x4973F715)
_POOL: Final = 4  # words of the entropy pool
_SEEDS: Final = np.uint64(0x7FFFFFFF)

# Ziggurat of 256 layers, as in NumPy's C code.
_ZIGGURAT_K, _ZIGGURAT_W, _ZIGGURAT_F = ki_double, wi_double, fi_double
_ZIGGURAT_R, _ZIGGURAT_INVERSE_R = float(ziggurat_nor_r), float(ziggurat_nor_inv_r)


def action_key(seed: int, *names: Name) -> NDArray[np.uint64]:
    """Return the Philox key [2] of the stream (seed, *names)."""
    return sequence(seed, *names).generate_state(2, np.uint64).astype(np.uint64, copy=False)


def seed_prefix(seed: int, *names: Name) -> NDArray[np.uint32]:
    """Return the entropy words of the stream (seed, *names), to which `episode_seed` adds environment and episode."""
    stream = sequence(seed, *names)
    words = list(_words(seed))
    words += [0] * (_POOL - len(words))
    for name in stream.spawn_key:
        words += _words(name)
    return np.array(words, np.uint32)


def _words(value: int) -> Iterator[int]:
    """Yield the 32-bit words of a non-negative integer, lowest first; at least one."""
    yield value & 0xFFFFFFFF
    while value := value >> 32:
        yield value & 0xFFFFFFFF


def _high_product_of(typing_context: Any, a: Any, b: Any) -> Any:
    """Type and generate the high 64 bits of the product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


_high_product: Any = intrinsic(_high_product_of)


@kernel
def philox(counter0, counter1, counter2, counter3, key0, key1):
    """Return the block of four uint64 that Philox4x64-10 computes from a counter and a key of uint64 words.

    It equals the first four words of ``numpy.random.Philox(counter=c, key=key)``, in which c is this counter minus 1.
    """
    counter0, counter1, key0 = np.uint64(counter0), np.uint64(counter1), np.uint64(key0)
    counter2, counter3, key1 = np.uint64(counter2), np.uint64(counter3), np.uint64(key1)
    for _ in range(10):
        high0, low0 = _high_product(_PHILOX_M0, counter0), _PHILOX_M0 * counter0
        high1, low1 = _high_product(_PHILOX_M1, counter2), _PHILOX_M1 * counter2
        counter0, counter1, counter2, counter3 = high1 ^ counter1 ^ key0, low1, high0 ^ counter3 ^ key1, low0
        key0 += _PHILOX_W0
        key1 += _PHILOX_W1
    return counter0, counter1, counter2, counter3


@kernel
def action_uniforms(key, environment, episode, time, uniforms):
    """Fill uniforms (float64 [A]) with an action's random numbers in [0, 1), one per component.

    Component j is word j % 4 of the Philox block of the counter (j // 4, time, episode, environment) and the key
    (uint64 [2], from `action_key`).
    """
    size, key0, key1 = uniforms.size, key[0], key[1]
    for j in range(0, size, 4):
        a, b, c, d = philox(j // 4, time, episode, environment, key0, key1)
        uniforms[j] = _unit(a)
        if j + 1 < size:
            uniforms[j + 1] = _unit(b)
        if j + 2 < size:
            uniforms[j + 2] = _unit(c)
        if j + 3 < size:
            uniforms[j + 3] = _unit(d)


@kernel
def _unit(word):
    """Return the upper 53 bits of a uint64 as a float64 in [0, 1)."""
    return np.float64(np.int64(word >> _11)) * _TO_UNIT


@kernel
def normal_quantile(u):
    """Return the standard normal quantile of u + 2**-54, for a uniform u in [0, 1) that is a multiple of 2**-53.

    The half step keeps 0 and 1 out and makes the results symmetric about 0: -8.29 to 8.29. Algorithm AS 241 (Wichura
    1988, PPND16), relative error about 1e-15.
    """
    q = (u - 0.5) + 0.5 * _TO_UNIT  # exact, unlike u + 2**-54
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        p = 2.5090809287301226727e3 * r + 3.3430575583588128105e4
        p = ((p * r + 6.7265770927008700853e4) * r + 4.5921953931549871457e4) * r + 1.3731693765509461125e4
        p = ((p * r + 1.9715909503065514427e3) * r + 1.3314166789178437745e2) * r + 3.3871328727963666080e0
        d = 5.2264952788528545610e3 * r + 2.8729085735721942674e4
        d = ((d * r + 3.9307895800092710610e4) * r + 2.1213794301586595867e4) * r + 5.3941960214247511077e3
        d = ((d * r + 6.8718700749205790830e2) * r + 4.2313330701600911252e1) * r + 1.0
        return q * p / d
    r = math.sqrt(-math.log(0.5 - abs(q)))
    if r <= 5.0:
        r -= 1.6
        p = 7.74545014278341407640e-4 * r + 2.27238449892691845833e-2
        p = ((p * r + 2.41780725177450611770e-1) * r + 1.27045825245236838258e0) * r + 3.64784832476320460504e0
        p = ((p * r + 5.76949722146069140550e0) * r + 4.63033784615654529590e0) * r + 1.42343711074968357734e0
        d = 1.05075007164441684324e-9 * r + 5.47593808499534494600e-4
        d = ((d * r + 1.51986665636164571966e-2) * r + 1.48103976427480074590e-1) * r + 6.89767334985100004550e-1
        d = ((d * r + 1.67638483018380384940e0) * r + 2.05319162663775882187e0) * r + 1.0
    else:
        r -= 5.0
        p = 2.01033439929228813265e-7 * r + 2.71155556874348757815e-5
        p = ((p * r + 1.24266094738807843860e-3) * r + 2.65321895265761230930e-2) * r + 2.96560571828504891230e-1
        p = ((p * r + 1.78482653991729133580e0) * r + 5.46378491116411436990e0) * r + 6.65790464350110377720e0
        d = 2.04426310338993978564e-15 * r + 1.42151175831644588870e-7
        d = ((d * r + 1.84631831751005468180e-5) * r + 7.86869131145613259100e-4) * r + 1.48753612908506148525e-2
        d = ((d * r + 1.36929880922735805310e-1) * r + 5.99832206555887937690e-1) * r + 1.0
    return p / d if q > 0.0 else -p / d


@kernel
def seed_generator(seed, rng):
    """Put a generator at the beginning of its stream: rng (uint64 [4]) as ``numpy.random.PCG64(seed)``.

    The seed is a non-negative integer below 2**63.
    """
    word = np.uint64(seed)
    rng[0], rng[1], rng[2], rng[3] = word & _LOW_32, word >> _32, _0, _0
    _fill(rng)  # rng is the entropy pool first, and the generator's state afterwards
    start_high, start_low = _output(rng, 0), _output(rng, 1)
    stream_high, stream_low = _output(rng, 2), _output(rng, 3)
    rng[2], rng[3] = (stream_high << _1) | (stream_low >> _63), (stream_low << _1) | _1
    rng[1] = rng[3] + start_low
    rng[0] = rng[2] + start_high + (_1 if rng[1] < start_low else _0)
    _advance(rng)


@kernel
def episode_seed(prefix, environment, episode):
    """Return the seed (int64 below 2**31) of an environment's episode; both numbers are below 2**32.

    It is the first word of the stream (seed, *names, environment, episode) without its highest bit. The prefix (uint32
    [n]) is `seed_prefix(seed, *names)`.
    """
    pool = np.empty(_POOL, np.uint64)
    for i in range(_POOL):
        pool[i] = prefix[i]
    constant = _fill(pool)
    for i in range(_POOL, prefix.size):
        constant = _absorb(pool, np.uint64(prefix[i]), _POOL, constant)
    constant = _absorb(pool, np.uint64(environment), _POOL, constant)
    _absorb(pool, np.uint64(episode), _POOL, constant)
    return np.int64(_hash(pool[0], _OUTPUT[0], _OUTPUT[1]) & _SEEDS)


@kernel
def _hash(value, constant, following):
    """Hash a 32-bit value with two consecutive constants of SeedSequence."""
    value = ((value ^ constant) * following) & _LOW_32
    return value ^ (value >> _16)


@kernel
def _fill(pool):
    """Hash the first four entropy words in the pool and mix them. Return the next hash constant."""
    constant = _INIT_A
    for i in range(_POOL):
        following = (constant * _MULTIPLY_A) & _LOW_32
        pool[i] = _hash(pool[i], constant, following)
        constant = following
    for i in range(_POOL):
        constant = _absorb(pool, pool[i], i, constant)
    return constant


@kernel
def _absorb(pool, word, skipped, constant):
    """Mix an entropy word into all words of the pool but the skipped one. Return the next hash constant."""
    for i in range(_POOL):
        if i != skipped:
            following = (constant * _MULTIPLY_A) & _LOW_32
            mixed = (_MIX_LEFT * pool[i] - _MIX_RIGHT * _hash(word, constant, following)) & _LOW_32
            pool[i] = mixed ^ (mixed >> _16)
            constant = following
    return constant


@kernel
def _output(pool, i):
    """Return word i of ``generate_state(4, uint64)``."""
    low = _hash(pool[2 * i % _POOL], _OUTPUT[2 * i], _OUTPUT[2 * i + 1])
    high = _hash(pool[(2 * i + 1) % _POOL], _OUTPUT[2 * i + 1], _OUTPUT[2 * i + 2])
    return low | (high << _32)


@kernel
def _advance(rng):
    """Advance PCG64: rng holds the 128-bit state and increment, high words first."""
    low = rng[1] * _PCG_LOW
    high = _high_product(rng[1], _PCG_LOW) + rng[0] * _PCG_LOW + rng[1] * _PCG_HIGH
    rng[1] = low + rng[3]
    rng[0] = high + rng[2] + (_1 if rng[1] < low else _0)


@kernel
def next_uint64(rng):
    """Return the next 64 random bits: ``PCG64.random_raw()``."""
    _advance(rng)
    word, turn = rng[0] ^ rng[1], rng[0] >> _58
    return (word >> turn) | (word << ((_64 - turn) & _63))


@kernel
def random(rng):
    """Return a float64 in [0, 1): ``Generator.random()``."""
    return _unit(next_uint64(rng))


@kernel
def uniform(rng, low, high):
    """Return a float64 in [low, high): ``Generator.uniform(low, high)``."""
    return low + (high - low) * random(rng)


@kernel
def standard_normal(rng):
    """Return a standard normal float64: ``Generator.standard_normal()`` (the Ziggurat algorithm)."""
    while True:
        word = next_uint64(rng)
        layer = word & np.uint64(0xFF)
        bits = (word >> _9) & np.uint64(0x000FFFFFFFFFFFFF)
        x = np.float64(np.int64(bits)) * _ZIGGURAT_W[layer]
        if (word >> _8) & _1:
            x = -x
        if bits < _ZIGGURAT_K[layer]:
            return x
        if layer == _0:
            while True:
                beyond = -_ZIGGURAT_INVERSE_R * math.log1p(-random(rng))
                y = -math.log1p(-random(rng))
                if y + y > beyond * beyond:
                    beyond += _ZIGGURAT_R
                    return -beyond if (bits >> _8) & _1 else beyond
        upper, lower = _ZIGGURAT_F[layer - _1], _ZIGGURAT_F[layer]
        if (upper - lower) * random(rng) + lower < math.exp(-0.5 * x * x):
            return x


@kernel
def integers(rng, n):
    """Return an int64 in [0, n) without bias, for n from 1 to 2**63 - 1.

    It equals ``Generator.integers(n)`` for n > 2**32 and n = 1. For other n, NumPy draws 32 bits and keeps the other
    half of a word for later; this function draws a word.
    """
    bound = np.uint64(n)
    if bound == _1:
        return np.int64(0)
    word = next_uint64(rng)
    if word * bound < bound:
        rejected = (_0 - bound) % bound  # 2**64 % n
        while word * bound < rejected:
            word = next_uint64(rng)
    return np.int64(_high_product(word, bound))
