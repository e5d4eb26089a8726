"""The process settings on which a run's bits depend, set before NumPy and torch load.

Matrix products and elementwise kernels choose their routine by the processor they find. The settings below choose it
instead: one routine wherever the processor has AVX2, and one thread, so that sums have one order. A row of a stacked
product then does not depend on how many matrices are stacked (measured; `tests/functional` holds every operation in
use to it).
"""

import os
import sys
import warnings
from collections.abc import Mapping
from typing import Final

SETTINGS: Final[Mapping[str, str]] = {
    "MKL_CBWR": "AVX2",  # MKL's products: conditional numerical reproducibility
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's elementwise kernels
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def pin() -> None:
    """Set what is not set yet; warn once where torch was loaded before, since its bits can't be promised then."""
    late = "torch" in sys.modules and any(name not in os.environ for name in SETTINGS)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if late:
        warnings.warn(
            "torch was loaded before pgexp could set "
            + ", ".join(SETTINGS)
            + ": runs are correct, but equality bit for bit with other runs is not claimed. "
            "Call pgexp.schema.determinism.pin() before importing torch.",
            stacklevel=2,
        )
