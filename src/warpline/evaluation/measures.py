"""Measures of a result against landmarks, its own inverse and the fixed image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warpline.backends import Array, Backend, select
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.resampling.slabs import slabs
from warpline.space import Displacement, Transform
from warpline.space.deformation import bending_density
from warpline.space.grid import Grid, apply_affine
from warpline.space.inversion import InverseError
from warpline.space.jacobian import jacobian_determinant, least_jacobian_determinant

_FLOOR = 1e-6
"""Variance, of intensities scaled to 1, below which a window counts as flat."""

WINDOW_RADIUS = 2
"""Of the windows of the local correlation, in voxels."""

_SLAB = 2**20
"""Most points that are mapped at once."""


@dataclass(frozen=True)
class Folding:
    """Jacobian determinants of a displacement, ``det(I + du/dx)``.

    Parameters
    ----------
    share, count : float, int
        Voxels whose determinant is at most 0: as a share of all that were looked at, and how many.
    voxels : int
        How many were looked at.
    minimum, p1, median, p99, maximum : float
        Extremes and percentiles of the determinant.

    Examples
    --------
    >>> from warpline.evaluation import Folding
    >>> Folding(0.25, 2, 8, minimum=-0.1, p1=-0.1, median=1.0, p99=1.4, maximum=1.4).count
    2
    """

    share: float
    count: int
    voxels: int
    minimum: float
    p1: float
    median: float
    p99: float
    maximum: float


@dataclass(frozen=True)
class TRE:
    """Target registration error, in mm, over a number of landmarks.

    Examples
    --------
    >>> from dataclasses import asdict
    >>> from warpline.evaluation import TRE
    >>> asdict(TRE(1.5, 1.0, 4.0, landmarks=12))
    {'mean': 1.5, 'median': 1.0, 'maximum': 4.0, 'landmarks': 12}
    """

    mean: float
    median: float
    maximum: float
    landmarks: int


@dataclass(frozen=True)
class Similarity:
    """Similarity of two images inside a mask.

    Parameters
    ----------
    ncc : float
        Pearson correlation of the intensities, -1 to 1; 0 when an image is constant.
    local_ncc : float
        Mean over the mask of the squared correlation in small windows, 0 to 1.

    Examples
    --------
    >>> from warpline.evaluation import Similarity
    >>> Similarity(ncc=0.9, local_ncc=0.6).local_ncc
    0.6
    """

    ncc: float
    local_ncc: float


# -- landmarks ------------------------------------------------------------------------------------------------------


def landmark_error(fixed_points: ArrayLike, moving_points: ArrayLike, transform: Transform) -> TRE:
    """Distance between mapped fixed landmarks and their partners in the moving image.

    Parameters
    ----------
    fixed_points, moving_points : (N, 3)
        Corresponding points in world (RAS+ mm).
    transform : Affine, Displacement or Chain
        Fixed world to moving world.

    Raises
    ------
    InputError
        When the lists do not pair up, are empty, or hold values that are not finite.

    Examples
    --------
    >>> from warpline import Affine
    >>> from warpline.evaluation import landmark_error
    >>> landmark_error([[0, 0, 0], [1, 0, 0]], [[3, 4, 0], [1, 0, 0]], Affine.identity())
    TRE(mean=2.5, median=2.5, maximum=5.0, landmarks=2)
    """
    fixed, moving = np.asarray(fixed_points, np.float64), np.asarray(moving_points, np.float64)
    if fixed.shape != moving.shape or fixed.ndim != 2 or fixed.shape[1] != 3 or not len(fixed):
        raise InputError(f"landmarks have shapes {fixed.shape} and {moving.shape}; two equal lists (N, 3) are needed")
    if not (np.isfinite(fixed).all() and np.isfinite(moving).all()):
        raise InputError("landmarks hold NaN or infinite coordinates; remove those rows from both lists")
    error = np.linalg.norm(transform.map_points(fixed) - moving, axis=1)
    return TRE(float(error.mean()), float(np.median(error)), float(error.max()), len(error))


# -- displacements --------------------------------------------------------------------------------------------------


Differences = Literal["central", "any"]
"""``"central"`` differences, as most tools take, or at every voxel the least determinant by ``"any"``."""

_DETERMINANTS = {"central": jacobian_determinant, "any": least_jacobian_determinant}


def folding(
    warp: Displacement,
    mask: Image | None = None,
    *,
    differences: Differences = "central",
    backend: str | Backend | None = None,
) -> Folding:
    """Count the voxels where a displacement turns space inside out, and describe its Jacobian determinant.

    Parameters
    ----------
    warp : Displacement
        On a grid of any orientation: the determinant does not depend on the coordinates.
    mask : Image, optional
        On the grid of the field; only voxels above 0 are looked at.
    differences : {"central", "any"}
        With ``"any"``, the least determinant of those of a digital diffeomorphism (Liu et al. 2024,
        doi:10.1007/s11263-024-02047-1): central ones miss folds.
    backend : str or Backend, optional
        Where the arithmetic runs.

    Raises
    ------
    InputError
        When the mask lies on another grid or is empty.
    UsageError
        When there are no such differences.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Displacement, Grid
    >>> from warpline.evaluation import folding
    >>> field = np.zeros((3, 4, 4, 4), np.float32)
    >>> field[0] = -1.5 * np.arange(4).reshape(4, 1, 1)
    >>> warp = Displacement(field, Grid((4, 4, 4), np.eye(4)))
    >>> found = folding(warp, backend="numpy")
    >>> found.share, found.minimum
    (1.0, -0.5)
    """
    if differences not in _DETERMINANTS:
        raise UsageError(f"differences is {differences!r}; {' or '.join(map(repr, _DETERMINANTS))} is needed")
    values = _DETERMINANTS[differences](warp, select(backend))[_inside(mask, warp.grid)].ravel()
    count = int(np.count_nonzero(~(values > 0)))
    low, p1, median, p99, high = np.percentile(values, (0, 1, 50, 99, 100)).tolist()
    return Folding(count / values.size, count, values.size, low, p1, median, p99, high)


def bending_energy(warp: Displacement, mask: Image | None = None) -> float:
    """Mean squared second derivative of a displacement, ``sum_cij (d2 u_c / dx_i dx_j)^2``, in 1/mm^2.

    After Rueckert et al. 1999, doi:10.1109/42.796284. Derivatives are along world axes, differences central; a budget
    limits the same number (`warpline.space.deformation.bending_density`).

    Parameters
    ----------
    warp : Displacement
        In mm on its grid.
    mask : Image, optional
        On the grid of the field; only voxels above 0 are averaged.

    Raises
    ------
    InputError
        When the mask lies on another grid or is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Displacement, Grid
    >>> from warpline.evaluation import bending_energy
    >>> field = np.zeros((3, 4, 4, 4), np.float32)
    >>> field[0] = -1.5 * np.arange(4).reshape(4, 1, 1)
    >>> warp = Displacement(field, Grid((4, 4, 4), np.eye(4)))
    >>> bending_energy(warp)  # linear in x
    0.0
    """
    inside = _inside(mask, warp.grid)
    density = bending_density(warp.field, warp.grid, select("numpy"))
    return float(density[inside].mean(dtype=np.float64))


def inverse_error(transform: Transform, inverse: Transform, grid: Grid, mask: Image | None = None) -> InverseError:
    """How far the voxels of a grid are from themselves after `transform` and then `inverse`.

    Parameters
    ----------
    transform, inverse : Affine, Displacement or Chain
        Maps of world points; swap them, and give the moving grid, for the other direction.
    grid : Grid
        Whose voxels are mapped, and whose voxel is the unit of the result.
    mask : Image, optional
        On `grid`; only voxels above 0 are mapped.

    Raises
    ------
    InputError
        When the mask lies on another grid or is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Grid
    >>> from warpline.evaluation import inverse_error
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 3.0
    >>> inverse_error(Affine(shift), Affine.identity(), Grid((4, 4, 4), np.diag((2.0, 2.0, 2.0, 1.0)))).mean
    1.5
    """
    starts = np.argwhere(_inside(mask, grid))
    error = np.empty(len(starts), np.float32)
    for slab in slabs((len(starts),), _SLAB):
        voxels = starts[slab].astype(np.float64)
        back = inverse.map_points(transform.map_points(apply_affine(grid.affine, voxels)))
        error[slab] = np.linalg.norm(apply_affine(grid.inverse_affine, back) - voxels, axis=1)
    return InverseError(float(error.mean(dtype=np.float64)), float(np.percentile(error, 99)), float(error.max()))


# -- intensities ----------------------------------------------------------------------------------------------------


def similarity(
    fixed: Image,
    warped: Image,
    mask: Image | None = None,
    *,
    radius: int = WINDOW_RADIUS,
    backend: str | Backend | None = None,
) -> Similarity:
    """Correlation of two volumes on the same grid, over all of it and in small windows.

    Parameters
    ----------
    fixed, warped : Image
        3-D volumes on the same grid.
    mask : Image, optional
        On the same grid; the fixed image above 0 when None.
    radius : int
        Windows have ``2 radius + 1`` voxels a side.
    backend : str or Backend, optional
        Where the arithmetic runs.

    Raises
    ------
    InputError
        When grids differ, an image is not 3-D, or the mask is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Image
    >>> from warpline.evaluation import similarity
    >>> fixed = Image.from_array(np.arange(1.0, 126.0).reshape(5, 5, 5))
    >>> found = similarity(fixed, Image.from_array(200 - fixed.data), backend="numpy")
    >>> round(found.ncc, 4), round(found.local_ncc, 4)
    (-1.0, 1.0)
    """
    check_grid(warped, fixed.grid, fixed.name)
    inside = _inside(fixed if mask is None else mask, fixed.grid)
    box = tuple(slice(*extent(inside, axis)) for axis in range(3))
    inside, chosen = inside[box], select(backend)
    f, w = (_Unit.of(image, box, chosen) for image in (fixed, warped))
    with chosen.session():
        local = _local_correlation(f, w, inside, radius, chosen)
    return Similarity(_correlation(f.volume[inside], w.volume[inside]), local)


def extent(inside: NDArray[np.generic], axis: int) -> tuple[int, int]:
    """First and one-past-last index along an axis at which a mask (I, J, K) is not 0; the whole axis where none is."""
    found = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
    return (int(found[0]), int(found[-1]) + 1) if found.size else (0, inside.shape[axis])


@dataclass(frozen=True, eq=False)
class _Unit:
    """A box of an image, its intensities divided by their largest size, so that squares stay far from float32's limits.

    Attributes
    ----------
    volume : (I, J, K) float32
        On the host.
    largest : float32
        What was divided by.
    there : (I, J, K) CuPy array or None
        The box before that, where the image is on the GPU that computes.
    """

    volume: NDArray[np.float32]
    largest: np.float32
    there: Array | None

    @classmethod
    def of(cls, image: Image, box: tuple[slice, ...], backend: Backend) -> _Unit:
        """A box of an image."""
        volume, there = np.ascontiguousarray(image.data[box], dtype=np.float32), image.values_on(backend)
        largest = np.abs(volume).max()
        largest = largest if largest > 0 else np.float32(1)
        return cls(volume / largest, largest, None if there is None else there[box])

    def on(self, backend: Backend, axes: tuple[int, ...]) -> Array:
        """The volume where a backend computes, with its axes in another order."""
        if self.there is None:
            return backend.upload(np.ascontiguousarray(self.volume.transpose(axes)))
        return self.there.transpose(axes).astype(np.float32, order="C") / self.largest


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    a, b = first - first.mean(dtype=np.float64), second - second.mean(dtype=np.float64)
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


def _local_correlation(fixed: _Unit, warped: _Unit, inside: NDArray[np.bool_], radius: int, backend: Backend) -> float:
    # rows are what backends go along; those of one voxel would cost more than they hold
    i, j, k = np.argsort(inside.shape, kind="stable").tolist()
    inside = np.ascontiguousarray(inside.transpose(i, j, k))
    force = (3, *inside.shape)
    value = backend.zeros((1,))
    backend.local_cc(
        fixed.on(backend, (i, j, k)),
        warped.on(backend, (i, j, k)),
        radius,
        contrast_floor=_FLOOR,
        mask=backend.upload(inside.astype(np.uint8)),
        out_fixed=backend.empty(force),
        out_moving=backend.empty(force),
        value=value,
    )
    return -float(backend.download(value)[0]) * inside.size / int(inside.sum())


def check_grid(image: Image, grid: Grid, name: str) -> None:
    """Refuse an image that is not a volume on the grid of another, which has a name.

    Raises
    ------
    InputError
        When it is a series, or lies on another grid.
    """
    if image.data.ndim != 3:
        raise InputError(f"{image.name} is a series of shape {image.data.shape}; a 3-D volume is needed")
    if image.grid != grid:
        raise InputError(f"{image.name} is not on the grid of {name}; warp or resample it there first")


def _inside(mask: Image | None, grid: Grid) -> NDArray[np.bool_]:
    """Where the mask is above 0; everywhere when there is none."""
    if mask is None:
        return np.ones(grid.shape, np.bool_)
    check_grid(mask, grid, "the volume it masks")
    inside: NDArray[np.bool_] = np.greater(mask.data, 0)
    if not inside.any():
        raise InputError(f"{mask.name} is empty: no voxel is above 0; give a mask that covers the object")
    return inside
