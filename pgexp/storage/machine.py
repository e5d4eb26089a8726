"""The machine that a run trains on: all of it that its numbers may depend on, and what says how fast it was."""

import ctypes
import os
import platform
import re
from pathlib import Path
from typing import Any, Final

from pgexp.schema.determinism import SETTINGS

Machine = dict[str, Any]
"""Plain JSON."""

UNDECIDING: Final = frozenset({"platform", "cores", "memory"})  # parts on which no number depends

# The environment variables on which bits depend: those that pgexp sets, and others that a user may set.
VARIABLES: Final = (
    *SETTINGS,
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "OPENBLAS_L2_SIZE",
    "ONEDNN_MAX_CPU_ISA",
)
_INSTRUCTIONS = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve")  # for which libraries have routines of their own
_CPU_INFO = Path("/proc/cpuinfo")


def machine() -> Machine:
    """Return what this process computes on. It loads torch, whose settings and libraries are part of it."""
    import torch  # in the process that trains it is loaded anyway

    return {
        "platform": platform.platform(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "cpu": _cpu("model name") or platform.processor(),
        "instructions": _instructions(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "settings": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "threads": torch.get_num_threads(),
        "torch": _torch_libraries(torch.__config__.show()),
        "numpy": _numpy_libraries(),
    }


def _instructions() -> list[str]:
    named = (_cpu("flags") or _cpu("Features")).split()
    return sorted(name for name in named if name.startswith(_INSTRUCTIONS))


def _cpu(key: str) -> str:
    """Return what Linux says of the processor; Python itself knows little of it, and on few systems."""
    lines = _CPU_INFO.read_text().splitlines() if _CPU_INFO.exists() else []
    values = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key)
    return next(values, "")


def _torch_libraries(shown: str) -> list[str]:
    """Return the libraries that torch computes with, and which routines it takes, of what it shows of its build."""
    lines = [line.removeprefix("  - ") for line in shown.splitlines() if line.startswith("  - ")]
    build = " ".join(line for line in lines if line.startswith("Build settings:"))
    algebra = re.findall(r"\b(?:BLAS|LAPACK)_INFO=\w+", build)
    return [line for line in lines if not line.startswith("Build settings:")] + algebra


def _numpy_libraries() -> list[str]:
    import numpy as np

    shown = np.show_config(mode="dicts")
    blas = shown.get("Build Dependencies", {}).get("blas", {})
    routines = shown.get("SIMD Extensions", {})
    used = ", ".join([*routines.get("baseline", []), *routines.get("found", [])])
    return [f"{blas.get('name')} {blas.get('version')}", f"OpenBLAS core {_openblas_core()}", f"SIMD {used}"]


def _openblas_core() -> str:
    """Return the processor for which OpenBLAS chose its routines, as the loaded library reports it."""
    import numpy as np

    for path in sorted(Path(np.__file__).parents[1].glob("numpy.libs/libscipy_openblas*")):
        core = getattr(ctypes.CDLL(str(path)), "scipy_openblas_get_corename64_", None)
        if core is not None:
            core.restype = ctypes.c_char_p
            return str(core().decode())
    return "unknown"
