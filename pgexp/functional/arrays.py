"""The kinds of arrays that the floors hand to each other."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Actions = NDArray[np.int64] | NDArray[np.float32] | NDArray[np.float64]  # [...] or [..., D]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]  # indices of episode slots in a pack
Observations = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.uint8]  # [..., O], bytes for pictures
