"""LPS, the world axes of ITK, ANTs and DICOM: x to the left, y to the back, z to the head. warpline's are RAS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIGNS = np.array([-1.0, -1.0, 1.0])
"""Factors (3,) that turn coordinates or components along R, A, S into L, P, S, and back."""

LPS = np.diag([*SIGNS, 1.0])
"""The same as a homogeneous matrix (4, 4)."""


def flip_components(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """A field (3, I, J, K) with components along R, A, S as one along L, P, S, or back."""
    return field * SIGNS.astype(np.float32)[:, None, None, None]
