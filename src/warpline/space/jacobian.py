"""Jacobians of transforms, and their determinants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.space.dense import Pullback
from warpline.space.fields import to_voxels
from warpline.space.transforms import Displacement

Doubles = NDArray[np.float64]

HALF_STEP = 1e-3
"""Half a step of central differences of a map, in mm."""


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


def least_jacobian_determinant(warp: Displacement, backend: Backend) -> NDArray[np.float32]:
    """The least determinant of a world displacement by any differences at every voxel of its grid, (I, J, K).

    Above 0 everywhere, the map is a digital diffeomorphism, see `Backend.least_jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Displacement, Grid
    >>> from warpline.backends import select
    >>> field = np.zeros((3, 5, 5, 5), np.float32)
    >>> field[0, 2, 2, 2] = 1.5  # beyond its neighbour, which central differences there do not see
    >>> warp = Displacement(field, Grid((5, 5, 5), np.eye(4)))
    >>> float(least_jacobian_determinant(warp, select("numpy"))[2, 2, 2])
    -0.5
    """
    return _on_host(backend.least_jacobian, to_voxels(warp.field, warp.grid), backend)


def voxel_determinant(field: NDArray[np.float32], backend: Backend) -> NDArray[np.float32]:
    """``det(I + d field / d i)`` of a displacement (3, I, J, K) in voxels, on the host: (I, J, K)."""
    return _on_host(backend.jacobian, field, backend)


def _on_host(operation: Callable[[Array], Array], field: NDArray[np.float32], backend: Backend) -> NDArray[np.float32]:
    """What an operation of the backend makes of a field, all on the host."""
    with backend.session():
        found: NDArray[np.float32] = backend.download(operation(backend.upload(field)))
    return found


def pullback_determinant(mapping: Pullback, backend: Backend) -> NDArray[np.float32]:
    """Jacobian determinant of the whole map at every voxel, ``det(matrix) det(I + d field / d i)``: (I, J, K).

    Neither depends on the axes of the grid, so it is exact on oblique and flipped grids.
    """
    scale = np.linalg.det(mapping.matrix[:3, :3])
    if mapping.field is None:
        return np.full(mapping.grid.shape, scale, np.float32)
    return voxel_determinant(mapping.field, backend) * np.float32(scale)


def pullback_jacobian(mapping: Pullback, slab: slice, slopes: NDArray[np.float32]) -> Doubles:
    """Derivative of the whole map by world coordinates, (3, 3, n, J, K), from ``d field_a / d i_b`` `slopes`."""
    inner = slopes[:, :, slab].astype(np.float64)
    inner[(0, 1, 2), (0, 1, 2)] += 1
    grid = mapping.grid
    outer = (mapping.matrix @ grid.affine)[:3, :3]
    whole: Doubles = np.einsum("ab,bc...,cd->ad...", outer, inner, grid.inverse_affine[:3, :3], optimize=True)
    return whole


def jacobian_at(warp: Displacement, points: Doubles) -> Doubles:
    """Derivative of the map at world points (N, 3), by central differences: (N, 3, 3)."""
    steps = np.eye(3) * HALF_STEP
    columns = [(warp.map_points(points + step) - warp.map_points(points - step)) / (2 * HALF_STEP) for step in steps]
    return np.stack(columns, axis=-1)


def determinant(matrices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Determinants of matrices (3, 3, ...), by cofactors in their precision: (...)."""
    (a, b, c), (d, e, f), (g, h, i) = matrices
    return np.asarray(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g), dtype=np.float32)
