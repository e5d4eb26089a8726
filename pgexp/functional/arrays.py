"""Types of arrays."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Actions = NDArray[np.int64] | NDArray[np.float32] | NDArray[np.float64]  # [...] or [..., D]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]  # indices of environments
Observations = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.uint8]  # [..., O], bytes for pictures
