"""Elementary functions against NumPy's and mpmath's, in every lane of the vectors and on every kind of processor."""

import io
import math
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mpmath
import numba
import numpy as np
import pytest
from llvmlite import binding
from numpy.typing import NDArray

from pgexp.kernels import elementary
from pgexp.kernels.compilation import kernel

Reference = Callable[[Any], Any]


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1 + e)


def softplus(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.logaddexp(0, x)


REFERENCES: dict[str, tuple[Reference, Reference, float]] = {  # in float64, in mpmath, largest error in float32 ulp
    "exp": (np.exp, mpmath.exp, 1.0),
    "log": (np.log, mpmath.log, 0.9),
    "tanh": (np.tanh, mpmath.tanh, 1.4),
    "sigmoid": (sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), 2.5),
    "softplus": (softplus, lambda x: mpmath.log1p(mpmath.exp(x)), 2.8),
}
NAMES = sorted(REFERENCES)
STRIDE = 997  # between the bit patterns tried; 3 when the errors were measured (five minutes)
BOUNDARIES = (0.625, math.sqrt(0.5), math.sqrt(2), 1, 2.0**-126, 87.336, 88.7228, 89, 103.972, 104, 10, math.log(2) / 2)
FEATURES = binding.get_host_cpu_features()


def floats(*values: float, dtype: type = np.float32) -> NDArray[Any]:
    return np.array(values, dtype)


def function(name: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    found: Callable[[NDArray[Any]], NDArray[Any]] = getattr(elementary, name)
    return found


def bits(x: NDArray[np.float32]) -> NDArray[np.uint32]:
    return x.view(np.uint32)


def sample() -> NDArray[np.float32]:
    """Return float32 of every sign, exponent and kind; all of those close to a boundary."""
    patterns = [np.arange(0, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32)]
    for boundary in BOUNDARIES:
        for signed in (boundary, -boundary):
            patterns.append(bits(floats(signed)) + np.arange(-3000, 3000, dtype=np.int32).astype(np.uint32))
    return np.concatenate(patterns).view(np.float32)


@pytest.fixture(scope="module")
def x() -> NDArray[np.float32]:
    return sample()


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_within_the_stated_error(name: str, x: NDArray[np.float32]) -> None:
    reference, _, bound = REFERENCES[name]
    with np.errstate(all="ignore"):
        expected = reference(x.astype(np.float64))
        rounded = expected.astype(np.float32)
        found = function(name)(x)
        finite = np.isfinite(rounded) & np.isfinite(found)
        np.testing.assert_array_equal(found[~finite], rounded[~finite])
        errors = np.abs(found.astype(np.float64) - expected)[finite] / np.abs(np.spacing(rounded[finite]))
    assert found.dtype == np.float32
    assert errors.max() <= bound, x[finite][errors.argmax()]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_error_against_mpmath(name: str, dtype: type) -> None:
    _, reference, bound = REFERENCES[name]
    random = np.random.default_rng(1)
    x = np.concatenate([random.uniform(-80, 80, 150), random.standard_normal(150) * 2]).astype(dtype)
    x = np.abs(x) if name == "log" else x
    with mpmath.workdps(60):
        for argument, found in zip(x, function(name)(x), strict=True):
            expected = reference(mpmath.mpf(float(argument)))
            ulp = abs(float(np.spacing(dtype(expected))))
            assert abs(mpmath.mpf(float(found)) - expected) / ulp <= (bound if dtype == np.float32 else 3), argument


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
class TestSpecialValues:
    def test_limits(self, dtype: type) -> None:
        x = floats(-math.inf, 0, math.inf, dtype=dtype)
        for name, expected in {
            "exp": (0, 1, math.inf),
            "tanh": (-1, 0, 1),
            "sigmoid": (0, 0.5, 1),
            "softplus": (0, np.log(dtype(2)), math.inf),
        }.items():
            np.testing.assert_array_equal(function(name)(x), floats(*expected, dtype=dtype), err_msg=name)

    def test_log_of_zero_negative_numbers_and_infinity(self, dtype: type) -> None:
        tiny = -float(np.finfo(dtype).smallest_subnormal)
        if dtype == np.float64:  # math.log raises in Python, the C library's log does not
            tiny = -1.0
        found = elementary.log(floats(0, -0.0, tiny, -math.inf, math.inf, 1, dtype=dtype))
        expected = floats(-math.inf, -math.inf, math.nan, math.nan, math.inf, 0, dtype=dtype)
        np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize("name", NAMES)
    def test_nan_propagates(self, name: str, dtype: type) -> None:
        assert np.isnan(function(name)(floats(math.nan, -math.nan, dtype=dtype))).all()

    def test_tanh_keeps_the_sign_of_zero_and_subnormal_numbers(self, dtype: type) -> None:
        tiny = float(np.finfo(dtype).smallest_subnormal)
        x = floats(0.0, -0.0, tiny, -tiny, dtype=dtype)
        np.testing.assert_array_equal(elementary.tanh(x), x)
        np.testing.assert_array_equal(np.signbit(elementary.tanh(x)), np.signbit(x))

    def test_overflow_and_gradual_underflow(self, dtype: type) -> None:
        largest, smallest = np.log(np.finfo(dtype).max), np.log(np.finfo(dtype).smallest_subnormal)
        found = elementary.exp(floats(largest * 1.001, largest * 0.999, smallest * 0.999, smallest * 1.01, dtype=dtype))
        assert found[0] == math.inf
        assert np.isfinite(found[1])
        assert 0 < found[2] < np.finfo(dtype).smallest_normal
        assert found[3] == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_result_does_not_depend_on_position_or_length(name: str, dtype: type) -> None:
    x = np.abs(np.random.default_rng(2).standard_normal(200) * 9).astype(dtype)
    whole = function(name)(x)
    array_kernel = getattr(elementary, f"{name}_array")
    for start in range(9):
        for length in (0, 1, 2, 3, 7, 8, 9, 31, 33, 64, 65, 127, 190):
            part = slice(start, start + length)
            np.testing.assert_array_equal(function(name)(x[part]), whole[part])
            out = np.zeros(length, dtype)
            array_kernel(x[part], out)
            np.testing.assert_array_equal(out, whole[part])
    in_place = x.copy()
    array_kernel(in_place, in_place)
    np.testing.assert_array_equal(in_place, whole)


@kernel
def all_functions(x, out):  # type: ignore[no-untyped-def]
    """Write the five functions of the scalar x [1], and log(tanh(exp(x))), to out [6]."""
    out[0], out[1], out[2] = elementary.exp(x[0]), elementary.log(x[0]), elementary.tanh(x[0])
    out[3], out[4] = elementary.sigmoid(x[0]), elementary.softplus(x[0])
    out[5] = elementary.log(elementary.tanh(elementary.exp(x[0])))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scalars_in_a_kernel_equal_arrays(dtype: type) -> None:
    for value in (0.01, 0.7, 3.0, 30.0):
        x, out = floats(value, dtype=dtype), np.zeros(6, dtype)
        all_functions(x, out)
        names = ("exp", "log", "tanh", "sigmoid", "softplus")
        expected = [function(name)(x) for name in names]
        expected.append(elementary.log(elementary.tanh(expected[0])))
        np.testing.assert_array_equal(out, np.concatenate(expected))


@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_float64_calls_the_c_library(name: str) -> None:
    x = np.abs(np.random.default_rng(3).standard_normal(2000) * 5)
    assert function(name)(x).tolist() == [getattr(math, name)(value) for value in x.tolist()]


class TestArrays:
    def test_any_shape_and_order(self) -> None:
        x = np.random.default_rng(4).standard_normal((3, 4, 5)).astype(np.float32)
        found = elementary.tanh(x)
        assert found.shape == x.shape
        np.testing.assert_array_equal(found.reshape(-1), elementary.tanh(x.reshape(-1)))
        np.testing.assert_array_equal(elementary.tanh(x.T), found.T)
        np.testing.assert_array_equal(elementary.tanh(x[:, ::2]), found[:, ::2])
        assert elementary.tanh(x[0, 0, 0, ...]).shape == ()

    def test_argument_is_unchanged_and_may_be_read_only(self) -> None:
        x = np.full(3, 0.5, np.float32)
        x.flags.writeable = False
        found = elementary.exp(x)
        assert (x == 0.5).all()
        np.testing.assert_array_equal(found, elementary.exp(x.copy()))

    def test_other_types_are_refused(self) -> None:
        with pytest.raises(TypeError, match="must be a float32 or float64 array"):
            elementary.exp(np.zeros(3, np.int64))  # type: ignore[arg-type]


@pytest.mark.skipif(not FEATURES.get("avx2"), reason="looks for AVX2 instructions")
@pytest.mark.parametrize("name", NAMES)
def test_float32_loops_are_vectorised(name: str) -> None:
    fresh = numba.njit(error_model="numpy")(getattr(elementary, f"{name}_array").py_func)  # code of a cache has no text
    fresh(np.ones(3, np.float32), np.ones(3, np.float32))
    (code,) = fresh.inspect_asm().values()
    products = [line for line in code.splitlines() if "vmulps" in line and ("%ymm" in line or "%zmm" in line)]
    assert len(products) >= 6
    assert "cvtss2sd" not in code  # nothing is computed in float64


PROGRAM = """
import hashlib, sys
import numpy as np
from pgexp.kernels import elementary

digest, stats = hashlib.sha256(), []
x = np.arange(0, 2**32, 50021, dtype=np.uint64).astype(np.uint32).view(np.float32)
x = x[~np.isnan(x)]
for name in sys.argv[1:]:
    found = getattr(elementary, name)(x)
    found[np.isnan(found)] = 0  # the sign of a NaN is not defined
    digest.update(found.tobytes())
    stats.append(getattr(elementary, f"{name}_array").stats)
print(digest.hexdigest(), sum(sum(s.cache_hits.values()) for s in stats))
"""


def started(processor: str, cache: Path) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment |= {"PGEXP_CACHE_DIR": str(cache), "NUMBA_CPU_NAME": processor}
    command = [sys.executable, "-c", PROGRAM, *NAMES]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen[str]) -> tuple[str, int]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    digest, hits = out.split()
    return digest, int(hits)


def native() -> str:
    out = io.StringIO()
    with redirect_stdout(out), patch.object(sys, "argv", ["", *NAMES]):
        exec(PROGRAM, {})
    return out.getvalue().split()[0]


@pytest.mark.skipif(not (FEATURES.get("avx2") and FEATURES.get("fma")), reason="runs code for Haswell and Zen 3")
def test_bits_do_not_depend_on_the_processor_and_code_is_cached(tmp_path: Path) -> None:
    processors = ["haswell", "znver3", *(["skylake-avx512"] if FEATURES.get("avx512vl") else [])]
    processes = [started(processor, tmp_path / processor) for processor in processors]
    digest = native()
    assert [outcome(process) for process in processes] == [(digest, 0)] * len(processors)
    assert outcome(started("haswell", tmp_path / "haswell")) == (digest, len(NAMES))
