"""Golden digests under other settings of NumPy, MKL, torch, OpenBLAS and numba.

    python -m analysis.bits.settings [SETTING ...]

A setting makes a library choose the routines of another processor. The digests must equal those under pgexp's settings.
The command exits with 1 if they do not.
"""

import subprocess
import sys
from collections.abc import Mapping
from typing import Final

AVX512: Final = "NPY_DISABLE_CPU_FEATURES=AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "numba for haswell": ("NUMBA_CPU_NAME=haswell",),
    "numba for znver3": ("NUMBA_CPU_NAME=znver3",),
    "numba for skylake-avx512": ("NUMBA_CPU_NAME=skylake-avx512",),
    "NumPy without AVX-512": (AVX512,),
    "MKL AVX2": ("MKL_CBWR=AVX2",),
    "MKL AVX2,STRICT": ("MKL_CBWR=AVX2,STRICT",),
    "MKL AVX512": ("MKL_CBWR=AVX512",),
    "MKL SSE4_2": ("MKL_CBWR=SSE4_2",),
    "MKL AUTO": ("MKL_CBWR=AUTO",),
    "torch avx512": ("ATEN_CPU_CAPABILITY=avx512",),
    "OpenBLAS for Zen": ("OPENBLAS_CORETYPE=Zen",),
}


def digests(settings: tuple[str, ...]) -> dict[str, str]:
    """Return the digest of each case under these settings."""
    command = [sys.executable, "-W", "ignore", "-m", "analysis.bits.trainings", "--set", *settings]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {case: digest for digest, _, case in (line.partition("  ") for line in lines)}


def main() -> None:
    """Print the cases that differ under each setting."""
    own, equal = digests(()), True
    for name in sys.argv[1:] or SETTINGS:
        found = digests(SETTINGS[name])
        differ = [case for case in own if found[case] != own[case]]
        equal = equal and not differ
        print(f"{name}: {', '.join(differ) or f'{len(own)} of {len(own)} digests equal'}", flush=True)
    sys.exit(not equal)


if __name__ == "__main__":
    main()
