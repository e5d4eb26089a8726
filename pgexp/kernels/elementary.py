"""Elementary functions in float32 and float64, for kernels and for arrays.

Inside a kernel, `exp(x)` and its siblings take a scalar and compile for its type. From Python they take an array.

In float32 they are branch-free polynomials, so that LLVM vectorises loops over them. Their largest errors, measured
over every third float32, in units in the last place (ulp):

    exp 1.0 | log 0.9 | tanh 1.4 | sigmoid 2.5 | softplus 2.8

Infinities, signed zeros and subnormal arguments give what IEEE functions give; NaN gives NaN. Results underflow
gradually, through subnormal numbers. In float64 they call the C library. A result depends on the argument alone: not on
its position in an array, and not on the width of the processor's vectors.
"""

import math
from typing import Any, Final

import numpy as np
from numba.core import types
from numba.extending import intrinsic, overload, register_jitable

from pgexp.kernels.compilation import compiled, kernel

Array = Any  # float32 or float64; in a kernel a scalar of either type

_0, _1, _2, _HALF, _INFINITY, _NAN = map(np.float32, (0, 1, 2, 0.5, math.inf, math.nan))

_LARGEST = np.float32(89)  # exp of it is infinite
_SMALLEST = np.float32(-104)  # exp of it is zero
_LOG2_E = np.float32(1.44269504088896341)
_LN2_HIGH = np.float32(0.693359375)  # 10 bits: its product with an exponent is exact
_LN2_LOW = np.float32(-2.12194440e-4)
_ROUND = np.float32(1.5 * 2**23)  # adding it rounds to an integer, which is then in the lowest bits
_ROUND_BITS = np.int32(_ROUND.view(np.int32))

_NORMAL = np.float32(2.0**-126)  # the smallest normal number
_TWO_23 = np.float32(2.0**23)
_23 = np.float32(23)
_ROOT_BITS = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))
_MANTISSA = np.int32(0x007FFFFF)
_SIGN = np.int32(-(2**31))
_TANH_SPLIT = np.float32(0.625)
_TANH_ONE = np.float32(10)  # tanh of it is 1

# Coefficients of Cephes (expf, logf, tanhf), highest power first.
_E0, _E1, _E2 = map(np.float32, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3))
_E3, _E4, _E5 = map(np.float32, (4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1))
_L0, _L1, _L2 = map(np.float32, (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1))
_L3, _L4, _L5 = map(np.float32, (-1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1))
_L6, _L7, _L8 = map(np.float32, (2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1))
_T0, _T1, _T2 = map(np.float32, (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2))
_T3, _T4 = map(np.float32, (1.33314422036e-1, -3.33332819422e-1))
# (2 atanh(s) - 2 s) / s^3 as a polynomial in s^2 up to 1/9: a Chebyshev fit by mpmath, relative error 7e-9.
_S0, _S1, _S2 = map(np.float32, (0.23224329224, 0.217065758009, 0.285923579943))
_S3, _S4 = map(np.float32, (0.399997063319, 0.666666673205))


def exp(x: Array) -> Array:
    """Return e**x, elementwise. In a kernel, x is a scalar."""
    return _elementwise(exp_array, x)


def log(x: Array) -> Array:
    """Return the natural logarithm of x, elementwise: -inf at 0, NaN below. In a kernel, x is a scalar."""
    return _elementwise(log_array, x)


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent of x, elementwise. In a kernel, x is a scalar."""
    return _elementwise(tanh_array, x)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), elementwise. In a kernel, x is a scalar."""
    return _elementwise(sigmoid_array, x)


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x)), elementwise. In a kernel, x is a scalar."""
    return _elementwise(softplus_array, x)


def _elementwise(function: Any, x: Array) -> Array:
    """Apply an array kernel to a float32 or float64 array of any shape. Return a new C-contiguous array."""
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"x: must be a float32 or float64 array (got {x.dtype}). Convert it with astype.")
    out = np.empty(x.shape, x.dtype)
    flat = np.require(x, requirements=["C", "A", "W"]).reshape(-1)  # a read-only array would need a kernel of its own
    compiled(function, _SIGNATURES[x.dtype])(flat, out.reshape(-1))
    return out


_SIGNATURES: Final = {
    np.dtype(np.float32): types.void(types.float32[::1], types.float32[::1]),
    np.dtype(np.float64): types.void(types.float64[::1], types.float64[::1]),
}


@kernel
def exp_array(x, out):
    """Write exp(x [n]) to out [n], which may be x itself (such a loop is not vectorised)."""
    for i in range(x.size):
        out[i] = exp(x[i])


@kernel
def log_array(x, out):
    """Write log(x [n]) to out [n]."""
    for i in range(x.size):
        out[i] = log(x[i])


@kernel
def tanh_array(x, out):
    """Write tanh(x [n]) to out [n]."""
    for i in range(x.size):
        out[i] = tanh(x[i])


@kernel
def sigmoid_array(x, out):
    """Write sigmoid(x [n]) to out [n]."""
    for i in range(x.size):
        out[i] = sigmoid(x[i])


@kernel
def softplus_array(x, out):
    """Write softplus(x [n]) to out [n]."""
    for i in range(x.size):
        out[i] = softplus(x[i])


def _bitcast(source: Any, target: Any) -> Any:
    """Return an intrinsic that reads the bits of a source as a target."""

    @intrinsic
    def function(typing_context, x):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(target))

        return target(source), generate

    return function


_bits = _bitcast(types.float32, types.int32)
_from_bits = _bitcast(types.int32, types.float32)


@register_jitable(error_model="numpy")
def _power_of_two(n):
    """Return 2**n for an int32 n in -126..127."""
    return _from_bits(np.int32(np.int32(n + 127) << 23))


@register_jitable(error_model="numpy")
def _exp(x):
    """Return exp of a float32: 2**n exp(r), |r| <= log(2) / 2."""
    x = _LARGEST if x > _LARGEST else x  # NaN passes both
    x = _SMALLEST if x < _SMALLEST else x
    shifted = x * _LOG2_E + _ROUND
    n = np.int32(_bits(shifted) - _ROUND_BITS)
    rounded = shifted - _ROUND
    r = x - rounded * _LN2_HIGH - rounded * _LN2_LOW
    y = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    y = y * (r * r) + r + _1
    half = np.int32(n >> 1)  # two factors: 2**n itself may be infinite or subnormal
    return y * _power_of_two(half) * _power_of_two(np.int32(n - half))


@register_jitable(error_model="numpy")
def _log(x):
    """Return log of a float32: e log(2) + log(1 + r), 1 + r from sqrt(1/2) to sqrt(2)."""
    subnormal = x < _NORMAL
    bits = np.int32(_bits(x * _TWO_23 if subnormal else x) - _ROOT_BITS)
    e = np.float32(np.int32(bits >> 23)) - (_23 if subnormal else _0)
    r = _from_bits(np.int32((bits & _MANTISSA) + _ROOT_BITS)) - _1
    z = r * r
    y = ((((_L0 * r + _L1) * r + _L2) * r + _L3) * r + _L4) * r + _L5
    y = (((y * r + _L6) * r + _L7) * r + _L8) * r * z
    y = y + e * _LN2_LOW - _HALF * z
    y = r + y + e * _LN2_HIGH
    y = y if x < _INFINITY else x  # infinity and NaN
    y = -_INFINITY if x == _0 else y
    return _NAN if x < _0 else y


@register_jitable(error_model="numpy")
def _tanh(x):
    """Return tanh of a float32: a polynomial up to .625, by exp beyond."""
    sign = np.int32(_bits(x) & _SIGN)
    a = abs(x)
    z = a * a
    small = ((((_T0 * z + _T1) * z + _T2) * z + _T3) * z + _T4) * z * a + a
    a = _TANH_ONE if a > _TANH_ONE else a
    y = small if a < _TANH_SPLIT else _1 - _2 / (_exp(a + a) + _1)
    return _from_bits(np.int32(_bits(y) | sign))


@register_jitable(error_model="numpy")
def _sigmoid(x):
    """Return sigmoid of a float32, with full relative precision below 0."""
    e = _exp(-abs(x))
    return (_1 if x >= _0 else e) / (_1 + e)


@register_jitable(error_model="numpy")
def _softplus(x):
    """Return softplus of a float32: max(x, 0) + 2 atanh(s), s = e / (2 + e), e = exp(-|x|)."""
    e = _exp(-abs(x))
    s = e / (_2 + e)
    t = s * s
    tail = (((_S0 * t + _S1) * t + _S2) * t + _S3) * t + _S4
    return (x if x > _0 else _0) + (tail * t * s + (s + s))


@register_jitable(error_model="numpy")
def _sigmoid_64(x):
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


@register_jitable(error_model="numpy")
def _softplus_64(x):
    return (x if x > 0.0 else 0.0) + math.log1p(math.exp(-abs(x)))


def _define(function: Any, single: Any, double: Any) -> None:
    """Make the function a scalar function in kernels: `single` for float32, `double` for float64."""

    @overload(function, jit_options={"error_model": "numpy"})
    def choose(x):
        return {types.float32: lambda x: single(x), types.float64: lambda x: double(x)}.get(x)


_define(exp, _exp, math.exp)
_define(log, _log, math.log)
_define(tanh, _tanh, math.tanh)
_define(sigmoid, _sigmoid, _sigmoid_64)
_define(softplus, _softplus, _softplus_64)
