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


def halved(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of what `Backend.halve` makes of fields of a shape: half as many voxels along each axis, rounded up."""
    return (*shape[:-3], *(-(-n // 2) for n in shape[-3:]))
