"""Types of arrays that the signatures of backends share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any
"""An array of the backend: NumPy's on the CPU, CuPy's on a GPU."""

Shape = tuple[int, int, int]
"""Of a volume."""

Matrix = NDArray[np.float64]
"""A homogeneous (4, 4) or (3, 4) matrix on the host."""
