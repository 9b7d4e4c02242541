"""Jacobian determinants of displacement fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.space.fields import to_voxels
from warpline.space.transforms import Displacement


def jacobian_determinant(warp: Displacement, backend: Backend) -> NDArray[np.float32]:
    """``det(I + du/dx)`` of a world displacement at every voxel of its grid, (I, J, K).

    Below 0 the map folds; above 1 it expands. The determinant does not depend on coordinates, so it is computed in
    voxels: exact on oblique and flipped grids.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Displacement, Grid
    >>> from warpline.backends import select
    >>> stretch = np.zeros((3, 4, 4, 4), np.float32)
    >>> stretch[0] = np.arange(4).reshape(4, 1, 1) * 0.5  # half as long again along x
    >>> warp = Displacement(stretch, Grid((4, 4, 4), np.eye(4)))
    >>> float(jacobian_determinant(warp, select("numpy"))[1, 1, 1])
    1.5
    """
    return voxel_determinant(to_voxels(warp.field, warp.grid), backend)


def voxel_determinant(field: NDArray[np.float32], backend: Backend) -> NDArray[np.float32]:
    """``det(I + d field / d i)`` of a displacement (3, I, J, K) in voxels, on the host: (I, J, K)."""
    with backend.session():
        determinant: NDArray[np.float32] = backend.download(backend.jacobian(backend.upload(field)))
    return determinant
