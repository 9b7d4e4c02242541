"""Any transform on a grid: as a matrix and one displacement per voxel, or as a dense displacement in mm.

`pull_back` is what images are warped by: single precision, on a backend. `displacement_on` is what files are written
from: double precision, on the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.space.grid import Grid, Matrix, apply_affine
from warpline.space.transforms import Affine, Chain, Displacement, Part, Transform

Doubles = NDArray[np.float64]

SLAB = 2**16
"""Voxels of a field that are held in double precision at a time, but for the rest of a plane."""


@dataclass(frozen=True, eq=False)
class Pullback:
    """``transform(G i) = matrix G (i + field(i))`` at every voxel i of `grid`, with G its affine.

    Parameters
    ----------
    grid : Grid
        Whose voxels are mapped.
    matrix : (4, 4)
        World to world, RAS+ mm: the affine parts of the chain, one after the other.
    field : (3, I, J, K) float32 or None
        What the displacement parts add, in voxels of `grid`; None where there are none.
    flat : bool
        Whether it maps 2-D images within their plane.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Grid
    >>> from warpline.backends import select
    >>> from warpline.resampling import pull_back
    >>> fine, coarse = Grid((8, 8, 8), np.eye(4)), Grid((4, 4, 4), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> mapping = pull_back(Affine.identity(), fine, select("numpy"))
    >>> mapping.voxels(coarse, slice(0, 4))[:, 3, 2, 1].tolist()
    [1.5, 1.0, 0.5]
    """

    grid: Grid
    matrix: Matrix
    field: NDArray[np.float32] | None
    flat: bool = False

    def matrix_to(self, target: Grid) -> Matrix:
        """Voxel of `grid`, displaced, to voxel of `target`, (4, 4); a 2-D target is seen in the plane of the grid."""
        place = target.in_plane_of(self.grid) if self.flat else target
        return self.grid.voxel_map_to(place, self.matrix)

    def voxels(self, target: Grid, slab: slice) -> Doubles:
        """Sampling coordinates of a slab along the first axis, in voxels of `target`: (3, n, J, K)."""
        where = self._displaced(slab)
        matrix = self.matrix_to(target)
        return np.tensordot(matrix[:3, :3], where, axes=1) + matrix[:3, 3].reshape(3, 1, 1, 1)

    def _lattice(self, slab: slice) -> Doubles:
        axes = (np.arange(self.grid.shape[0])[slab], *map(np.arange, self.grid.shape[1:]))
        return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float64)

    def _displaced(self, slab: slice) -> Doubles:
        where = self._lattice(slab)
        return where if self.field is None else where + self.field[:, slab]


def pull_back(transform: Transform, grid: Grid, backend: Backend) -> Pullback:
    """A transform as `grid` sees it.

    Displacements on other grids, and all but the first, are read linearly at the mapped voxels: nothing is
    interpolated twice. Outside its own grid a displacement is zero, as in ITK.

    Parameters
    ----------
    transform : Affine, Displacement or Chain
        World points (RAS+ mm) of `grid` to those of another image.
    grid : Grid
        Whose voxels are mapped.
    backend : Backend
        What reads displacements at mapped voxels.

    Returns
    -------
    Pullback
        One matrix, and one field in voxels of `grid` where there are displacements.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Chain, Displacement, Grid
    >>> from warpline.backends import select
    >>> from warpline.resampling import pull_back
    >>> grid = Grid((8, 8, 8), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> shift = Displacement(np.ones((3, 8, 8, 8), np.float32), grid)
    >>> mapping = pull_back(Chain((shift, Affine.identity())), grid, select("numpy"))
    >>> mapping.field[:, 4, 4, 4].tolist()  # 1 mm is half a voxel
    [0.5, 0.5, 0.5]
    """
    parts: tuple[Part, ...] = transform.parts if isinstance(transform, Chain) else (transform,)
    world: Matrix = np.eye(4)
    field: NDArray[np.float32] | None = None
    for part in parts:
        if isinstance(part, Affine):
            world = part.matrix @ world
        else:
            with backend.session():
                field = _displaced(world, field, part, grid, backend)
    stays = all(part.flat or (isinstance(part, Affine) and part.is_identity) for part in parts)
    return Pullback(grid, world, field, grid.flat and stays)


def _displaced(
    world: Matrix, field: NDArray[np.float32] | None, part: Displacement, grid: Grid, backend: Backend
) -> NDArray[np.float32]:
    seen = Grid(grid.shape, world @ grid.affine)
    place = part.grid.in_plane_of(seen)
    matrix = seen.voxel_map_to(place)
    if part.flat:
        matrix[2] = 0, 0, 0, 0
    if field is None and seen == place:
        moved = part.field
    else:
        at = None if field is None else backend.upload(field)
        components = [backend.upload(np.ascontiguousarray(u, dtype=np.float32)) for u in part.field]
        moved = np.stack([backend.download(backend.sample(u, matrix, field=at, shape=grid.shape)) for u in components])
    to_voxels = np.linalg.inv((world @ grid.affine)[:3, :3])
    voxels = np.empty((3, *grid.shape), np.float32)
    thick = max(1, SLAB // (grid.shape[1] * grid.shape[2]))
    for i in range(0, grid.shape[0], thick):  # in slabs: all in double precision would take four times its size
        voxels[:, i : i + thick] = np.tensordot(to_voxels, moved[:, i : i + thick], axes=1)
    if field is not None:
        voxels += field
    return voxels


def displacement_on(transform: Transform, grid: Grid) -> NDArray[np.float32]:
    """A transform as one displacement per voxel of a grid.

    Parameters
    ----------
    transform : Affine, Displacement or Chain
        Fixed world to moving world.
    grid : Grid
        Of the fixed image.

    Returns
    -------
    (3, I, J, K) float32
        ``transform(x) - x`` in mm at every voxel centre, components along world R, A, S. Not interpolated where
        the first part is a displacement on the same grid.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.space import Affine, Grid, displacement_on
    >>> shift = np.eye(4)
    >>> shift[:3, 3] = 1.0, 0.0, -2.0
    >>> field = displacement_on(Affine(shift), Grid((8, 8, 8), np.eye(4)))
    >>> field.shape, field[:, 4, 4, 4].tolist()
    ((3, 8, 8, 8), [1.0, 0.0, -2.0])
    """
    first, rest = _split(transform, grid)
    if first is not None and not rest.parts:
        return first
    moved = np.empty((3, *grid.shape), np.float32)
    for i in range(grid.shape[0]):
        start = _slab(grid, i)
        mapped = rest.map_points(start if first is None else start + np.moveaxis(first[:, i], 0, -1))
        moved[:, i] = np.moveaxis(mapped - start, -1, 0)
    return moved


def _split(transform: Transform, grid: Grid) -> tuple[NDArray[np.float32] | None, Chain]:
    """The field of the first part where that is a displacement on `grid`, and the parts after it."""
    chain = Chain.of(transform)
    first = chain.parts[0] if chain.parts else None
    if isinstance(first, Displacement) and first.grid == grid:
        return first.field, Chain(chain.parts[1:])
    return None, chain


def _slab(grid: Grid, i: int) -> NDArray[np.float64]:
    """World points (J, K, 3) of the voxels whose first index is `i`."""
    _, columns, slices = grid.shape
    voxels = np.indices((1, columns, slices)).reshape(3, columns, slices)
    voxels[0] = i
    return apply_affine(grid.affine, np.moveaxis(voxels, 0, -1))
