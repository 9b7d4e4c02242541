"""How much a displacement field bends, stretches and shears: densities on a backend, one value per voxel.

Displacements (3, I, J, K) are in mm along world axes or in voxels, as each function says, and of a single map, with no
affine after it. Differences are those of `Backend.gradient`: central, one-sided at the faces of the grid, and 0 along
an axis of one voxel.
"""

from __future__ import annotations

import numpy as np

from warpline.backends import Array, Backend
from warpline.space.fields import gradient_along_world
from warpline.space.grid import Grid

SLAB = 2**19
"""About as many voxels are worked on at once in double precision."""


def bending_density(field: Array, grid: Grid, backend: Backend) -> Array:
    """Sum of squared second derivatives ``sum_cij (d2 u_c / dx_i dx_j)^2`` at every voxel, in 1/mm^2: (I, J, K).

    Its mean is the bending energy of Rueckert et al. 1999, doi:10.1109/42.796284.

    Parameters
    ----------
    field : (3, I, J, K) float32
        Displacement in mm, on the backend.
    grid : Grid
        Of the field.
    backend : Backend
        Where the field is.
    """
    density = backend.zeros(grid.shape)
    for component in field:
        for slope in gradient_along_world(component, grid, backend):
            for second in gradient_along_world(slope, grid, backend):
                second *= second
                density += second
    return density


def largest_strain(field: Array, grid: Grid, backend: Backend) -> Array:
    """Largest absolute principal logarithmic (Hencky) strain ``max |ln s|`` at every voxel: (I, J, K) float32.

    s are the singular values of the Jacobian matrix ``I + du/dx``: the stretches along three orthogonal directions. The
    strain of the inverse map at the point that a voxel goes to is the same. Infinite where the map folds.

    Parameters
    ----------
    field, grid, backend
        As for `bending_density`.

    Notes
    -----
    The eigenvalues of ``J^T J`` are found in closed form (Smith 1961, doi:10.1145/355578.366316) in double precision.
    """
    strain = backend.empty(grid.shape)
    slopes = [gradient_along_world(component, grid, backend) for component in field]
    rows = max(1, SLAB // (grid.shape[1] * grid.shape[2]))
    for start in range(0, grid.shape[0], rows):
        slab = slice(start, start + rows)
        jacobian = [[slopes[c][a][slab].astype(np.float64) + float(a == c) for a in range(3)] for c in range(3)]
        strain[slab] = _strain(jacobian)
    return strain


def largest_jacobian(field: Array, backend: Backend) -> Array:
    """The largest Jacobian determinant by any differences at every voxel of a field in voxels: (I, J, K).

    Minus what `Backend.least_jacobian` gives with one component of the map reflected, ``x -> -(x + u)``, which changes
    the sign of every determinant.

    Parameters
    ----------
    field : (3, I, J, K) float32
        Displacement in voxels, on the backend.
    backend : Backend
        Where the field is.
    """
    shape = field.shape[1:]
    axis = int(np.argmax(shape))
    place = [1, 1, 1]
    place[axis] = -1
    twice = backend.upload((2 * np.arange(shape[axis], dtype=np.float32)).reshape(place))
    reflected = field.copy()
    reflected[axis] += twice
    reflected[axis] *= np.float32(-1)
    least: Array = backend.least_jacobian(reflected)
    least *= np.float32(-1)
    return least


def _strain(jacobian: list[list[Array]]) -> Array:
    """Largest strain of Jacobian matrices, an array per entry."""
    a, b, c, d, e, f = _right_cauchy_green(jacobian)
    mean = (a + b + c) / 3
    a, b, c = a - mean, b - mean, c - mean
    spread = np.sqrt((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6)
    half = (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)) / (2 * np.maximum(spread**3, 1e-300))
    angle = np.arccos(half.clip(-1, 1)) / 3
    largest = mean + 2 * spread * np.cos(angle)
    least = mean + 2 * spread * np.cos(angle + 2 * np.pi / 3)
    strain = np.maximum(np.log(np.maximum(largest, 1e-300)), -np.log(np.maximum(least, 1e-300))) / 2
    return np.where(_determinant(jacobian) > 0, strain, np.inf)


def _right_cauchy_green(jacobian: list[list[Array]]) -> tuple[Array, ...]:
    """Entries of ``J^T J``: xx, yy, zz, xy, xz, yz."""
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    return tuple(sum(row[a] * row[b] for row in jacobian) for a, b in pairs)


def _determinant(jacobian: list[list[Array]]) -> Array:
    (a, b, c), (d, e, f), (g, h, i) = jacobian
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
