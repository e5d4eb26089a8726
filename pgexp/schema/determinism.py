"""Process settings on which the bits of a run depend.

Libraries select their routines by processor. These settings select routines that every x86-64 processor with AVX2 and
FMA supports, and one thread, so that sums have a fixed order. They must be set before NumPy, torch and numba load.
"""

import os
import platform
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_CPU_INFO: Final = Path("/proc/cpuinfo")


def _has_avx2() -> bool:
    """Return whether the processor has AVX2 and FMA, according to /proc/cpuinfo."""
    if not _CPU_INFO.exists():
        return False
    with _CPU_INFO.open() as file:
        flags = next((line.split() for line in file if line.startswith("flags")), [])
    return {"avx2", "fma"} <= set(flags)


SETTINGS: Final[Mapping[str, str]] = {
    **({"OPENBLAS_CORETYPE": "Haswell"} if _has_avx2() else {}),  # linear algebra of NumPy and SciPy
    "ATEN_CPU_CAPABILITY": "avx2",  # elementwise kernels of torch
    "MKL_CBWR": "COMPATIBLE",  # functions that torch computes with MKL
    "NUMBA_DISABLE_INTEL_SVML": "1",  # compiled kernels
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}

_LIBRARIES: Final = ("numpy", "torch", "numba")


def pin() -> None:
    """Set the settings. Warn if a library was loaded earlier with other settings, because bits may then differ."""
    changed = [name for name, value in SETTINGS.items() if os.environ.get(name) != value]
    os.environ.update(SETTINGS)
    loaded = [name for name in _LIBRARIES if name in sys.modules]
    if changed and loaded:
        warnings.warn(
            f"{', '.join(loaded)} loaded before pgexp could set {', '.join(changed)}. Runs are correct, but their bits "
            "may differ from those of other processes. Call pgexp.schema.determinism.pin() before these imports.",
            stacklevel=2,
        )


def nondeterminism_reason() -> str | None:
    """Return why results on this machine may differ in bits from other machines, or None if they are equal."""
    import numpy as np

    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {}).get("name", "unknown")
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"equal bits are promised for Linux on x86-64 only (this is {sys.platform} on {platform.machine()})"
    if not _has_avx2():
        return "the processor lacks AVX2 or FMA"
    if "openblas" not in blas:
        return f"NumPy computes with {blas}, not with OpenBLAS"
    return None
