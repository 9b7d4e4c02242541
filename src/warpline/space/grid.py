"""Grids: where the voxels of an array lie in world space (RAS+ millimetres)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends.voxel_coordinates import inside
from warpline.errors import InputError

Matrix = NDArray[np.float64]
Shape = tuple[int, int, int]

_IN_PLANE = 1e-5
"""Share of a voxel by which rounding of a header may tilt a slice."""


def apply_affine(matrix: Matrix, points: ArrayLike) -> Matrix:
    """Map points through a 4x4 matrix.

    Parameters
    ----------
    matrix : (4, 4)
        Homogeneous matrix.
    points : (..., 3)
        Points in the space the matrix maps from.

    Returns
    -------
    (..., 3) float64
        Points in the space the matrix maps to.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.space import Grid, apply_affine
    >>> grid = Grid((4, 5, 6), np.diag([-2.0, 2.0, 3.0, 1.0]))
    >>> apply_affine(grid.affine, [[0, 0, 0], [1, 2, 1]])  # voxels to RAS+ mm
    array([[ 0.,  0.,  0.],
           [-2.,  4.,  3.]])
    """
    points = np.asarray(points, dtype=np.float64)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def check_affine(matrix: ArrayLike, name: str = "affine") -> Matrix:
    """Return `matrix` as a read-only (4, 4) float64 array.

    Raises
    ------
    InputError
        When it is not 4x4, not finite, singular, or its last row is not 0 0 0 1.
    """
    checked = np.array(matrix, dtype=np.float64)
    if checked.shape != (4, 4):
        raise InputError(f"{name} has shape {checked.shape}; a 4x4 matrix is needed")
    if not np.isfinite(checked).all():
        raise InputError(f"{name} has NaN or infinite entries; write a valid one into the file (NIfTI: sform or qform)")
    if checked[3].tolist() != [0.0, 0.0, 0.0, 1.0]:
        raise InputError(f"{name} ends in the row {checked[3].tolist()}; 0 0 0 1 is needed")
    scale = np.prod(np.linalg.norm(checked[:3, :3], axis=0))
    if scale == 0 or abs(np.linalg.det(checked[:3, :3])) < 1e-6 * scale:
        raise InputError(
            f"{name} is singular: it flattens space; write a valid one into the file (NIfTI: sform or qform)"
        )
    checked.setflags(write=False)
    return checked


def lies_in_plane(affine: Matrix) -> bool:
    """Whether the first two voxel axes of an affine (4, 4) lie in the plane of world x and y, and the third across."""
    mixed = max(np.abs(affine[2, :2]).max(), np.abs(affine[:2, 2]).max())
    return bool(mixed <= _IN_PLANE * np.abs(affine[:2, :2]).max())


@dataclass(frozen=True)
class GridHeader:
    """What the header of a file says about its grid, beside the matrix that was taken from it.

    Parameters
    ----------
    matrix : str
        Which of its matrices was taken: ``"sform"``, ``"qform"``, or ``"none"`` where it has neither.
    pixdim : (3,), optional
        Voxel sizes that it states apart from the matrices, in its own unit of length: FSL counts by them.
    right_handed : bool, optional
        Whether FSL takes the voxels for right-handed, which the matrix that was taken need not be.
    notes : tuple of str
        A sentence for everything in it that was guessed, converted or repaired, or that tools read differently.
    """

    matrix: str
    pixdim: tuple[float, float, float] | None = None
    right_handed: bool | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular lattice of voxels in world space.

    Parameters
    ----------
    shape : (I, J, K)
        Number of voxels along each axis; a 2-D image is one slice thick.
    affine : (4, 4)
        Voxel index to world (RAS+ mm), as nibabel gives it.
    flat : bool
        Whether it is that of a 2-D image in the plane of world x and y: files of such an image, and of transforms
        between two of them, have no third axis. One slice of a volume is not flat.
    header : GridHeader, optional
        What the file says that the grid was read from; it does not count in comparisons.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Grid
    >>> grid = Grid((4, 5, 6), np.diag([-2.0, 2.0, 3.0, 1.0]))
    >>> grid.voxel_size, grid.centre
    (array([2., 2., 3.]), array([-3. ,  4. ,  7.5]))
    """

    shape: Shape
    affine: Matrix
    flat: bool = False
    header: GridHeader | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"grid shape {tuple(self.shape)} is not allowed; three sizes of at least 1 are needed")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", check_affine(self.affine))
        if self.flat and not (shape[2] == 1 and lies_in_plane(self.affine)):
            raise InputError("a 2-D image is one slice in the plane of world x and y; this grid is not")

    def __eq__(self, other: object) -> bool:
        """Equal shapes, and affines that agree to 1e-4 of a voxel at every corner; `flat` does not count."""
        if not isinstance(other, Grid):
            return NotImplemented
        if self.shape != other.shape:
            return False
        gap = self.corners() - other.corners()
        return bool(np.abs(gap).max() <= 1e-4 * self.voxel_size.min())

    __hash__ = None  # type: ignore[assignment]

    @property
    def inverse_affine(self) -> Matrix:
        """World (RAS+ mm) to voxel index, (4, 4)."""
        return np.linalg.inv(self.affine).astype(np.float64, copy=False)

    @property
    def voxel_size(self) -> NDArray[np.float64]:
        """Length of one voxel along each axis, (3,) in mm."""
        lengths: NDArray[np.float64] = np.sqrt(np.square(self.affine[:3, :3]).sum(axis=0))
        return lengths

    @property
    def voxel_volume(self) -> float:
        """What a voxel takes, in mm³; of a 2-D image in mm²."""
        linear = self.affine[:3, :3]
        return float(np.linalg.norm(np.cross(linear[:, 0], linear[:, 1])) if self.flat else abs(np.linalg.det(linear)))

    @property
    def centre(self) -> NDArray[np.float64]:
        """World position of the middle of the grid, (3,) in mm."""
        return apply_affine(self.affine, (np.array(self.shape) - 1) / 2)

    @property
    def nearest_axes(self) -> tuple[Shape, Shape]:
        """For world x, y and z: the voxel axis that runs nearest along it, and +1 or -1 for its sense.

        Examples
        --------
        >>> import numpy as np
        >>> from warpline import Grid
        >>> Grid((4, 5, 6), np.array([[0, 0, 1.0, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])).nearest_axes
        ((2, 0, 1), (1, -1, 1))
        """
        directions = self.affine[:3, :3] / self.voxel_size
        x, y, z = max(permutations(range(3)), key=lambda order: sum(abs(directions[w, a]) for w, a in enumerate(order)))
        senses = tuple(1 if directions[world, axis] > 0 else -1 for world, axis in enumerate((x, y, z)))
        return (x, y, z), (senses[0], senses[1], senses[2])

    @property
    def notes(self) -> tuple[str, ...]:
        """What its file's header leaves open, see `GridHeader`."""
        return () if self.header is None else self.header.notes

    @property
    def bare(self) -> Grid:
        """The same lattice, without what a file says of it: for images that are made on it."""
        return self if self.header is None else Grid(self.shape, self.affine, self.flat)

    def corners(self) -> NDArray[np.float64]:
        """World positions of the eight corner voxels' centres, (8, 3) in mm."""
        ends = [(0, n - 1) for n in self.shape]
        return apply_affine(self.affine, np.array([(i, j, k) for i in ends[0] for j in ends[1] for k in ends[2]]))

    def voxels_at(self, points: ArrayLike) -> NDArray[np.float64]:
        """Voxel coordinates (..., 3) of world points (..., 3) in mm; on a flat grid the third one is 0."""
        voxels = apply_affine(self.inverse_affine, points)
        if self.flat:
            voxels[..., 2] = 0
        return voxels

    def contains(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Which world points (..., 3) lie within the outer voxel faces, (...); on a flat grid, at any third coordinate.

        Examples
        --------
        >>> import numpy as np
        >>> from warpline import Grid
        >>> Grid((4, 4, 4), np.eye(4)).contains([[0, 0, -0.5], [0, 0, 3.5]]).tolist()
        [True, False]
        """
        return inside(np.moveaxis(self.voxels_at(points), -1, 0), self.shape)

    def cropped(self, start: Shape, stop: Shape) -> Grid:
        """The part of the grid from voxel `start` (inclusive) to `stop` (exclusive); `start` may be negative."""
        shift = np.eye(4)
        shift[:3, 3] = start
        shape = tuple(int(b - a) for a, b in zip(start, stop, strict=True))
        return Grid(shape, self.affine @ shift, self.flat and shape[2] == 1)  # type: ignore[arg-type]

    def resized(self, shape: Shape) -> Grid:
        """A grid of another shape that spans the same box, outer voxel faces included."""
        ratio = np.array(self.shape) / np.array(shape)
        zoom = np.diag([*ratio, 1.0])
        zoom[:3, 3] = (ratio - 1) / 2
        return Grid(shape, self.affine @ zoom, self.flat and shape[2] == 1)

    def in_plane_of(self, other: Grid) -> Grid:
        """The same grid in the plane of `other` when it is flat and `other` a slice parallel to it, else itself.

        The third axis of a 2-D image does not count: tools give it any place and thickness.
        """
        if not (self.flat and other.shape[2] == 1 and lies_in_plane(other.affine)):
            return self
        affine = self.affine.copy()
        affine[2] = other.affine[2]
        return Grid(self.shape, affine, flat=True)

    def voxel_map_to(self, other: Grid, world: Matrix | None = None) -> Matrix:
        """Voxel of this grid to voxel of `other`, through an optional world-to-world matrix, (4, 4)."""
        matrix = self.affine if world is None else world @ self.affine
        return other.inverse_affine @ matrix
