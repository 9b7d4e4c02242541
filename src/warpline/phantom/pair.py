"""Two brains on grids of their own, and the exact map between them.

Anatomy is a function of position: the fixed image evaluates it on its grid, the moving image on another grid through
the inverse of the known map. Neither image is ever resampled, so the map is the truth for both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter
from scipy.spatial.transform import Rotation

from warpline.errors import UsageError
from warpline.images import Image
from warpline.phantom.anatomy import CENTRE, LANDMARKS, Anatomy, Indices, Points
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid, Shape

_FIELD_OF_VIEW = np.array((192.0, 224.0, 192.0))
_REACH = np.array((78.0, 98.0, 84.0))


@dataclass(frozen=True, eq=False)
class PhantomPair:
    """Two brains and everything that is known about them.

    Parameters
    ----------
    fixed, moving : Image
        T1-like float32 volumes, background exactly 0, on grids of different orientation and voxel size.
    fixed_labels, moving_labels : Image
        uint8 structures on the same grids, numbered as in `LABELS`.
    transform : Chain
        The true map, fixed world to moving world: a displacement with its inverse, then an affine.
    fixed_points, moving_points : (N, 3)
        Corresponding landmarks in world mm.

    Examples
    --------
    >>> from warpline.phantom import brain_pair
    >>> pair = brain_pair((16, 20, 16), voxel_size=12.0)
    >>> bool(abs(pair.transform.map_points(pair.fixed_points) - pair.moving_points).max() < 1e-6)
    True
    """

    fixed: Image
    moving: Image
    fixed_labels: Image
    moving_labels: Image
    transform: Chain
    fixed_points: NDArray[np.float64]
    moving_points: NDArray[np.float64]


def brain_pair(shape: Shape = (96, 112, 96), seed: int = 0, voxel_size: float = 2.0) -> PhantomPair:
    """Make a pair of synthetic brains that differ by a known invertible map.

    Parameters
    ----------
    shape : (I, J, K)
        Shape of the fixed grid (RAS); the brain is scaled to fill it.
    seed : int
        Chooses folds, deformation, bias and noise; the same seed gives the same pair, bit for bit.
    voxel_size : float
        Of the fixed grid, in mm.

    Raises
    ------
    UsageError
        When an axis has fewer than 16 voxels or the voxel size is not positive.

    Examples
    --------
    >>> from warpline.phantom import LABELS, brain_pair
    >>> pair = brain_pair((16, 20, 16), voxel_size=12.0)
    >>> pair.fixed.data.shape, pair.moving.data.shape, LABELS[17]
    ((16, 20, 16), (18, 17, 16), 'left hippocampus')
    """
    if len(shape) != 3 or min(shape) < 16 or not voxel_size > 0:
        raise UsageError(f"phantom of shape {shape}, voxel size {voxel_size}; 16 voxels or more, size above 0 needed")
    draw = np.random.default_rng(seed)
    scale = float(np.min(np.array(shape) * voxel_size / _FIELD_OF_VIEW))
    grid = _fixed_grid(shape, voxel_size, scale)
    anatomy = Anatomy.drawn(draw)
    warp = _draw_warp(grid, scale, draw)
    affine = _draw_affine(scale, draw)
    moving_grid = _moving_grid(grid, affine)
    here = _positions(grid, None, scale)
    there = _positions(moving_grid, (affine.inverse(), warp.inverse()), scale)
    fixed, fixed_labels = _render(anatomy, grid, here, voxel_size / scale, draw)
    moving, moving_labels = _render(anatomy, moving_grid, there, voxel_size / scale, draw)
    truth = Chain((warp, affine))
    points = LANDMARKS * scale
    return PhantomPair(
        Image(fixed, grid, "phantom fixed"),
        Image(moving, moving_grid, "phantom moving"),
        Image(fixed_labels, grid, "phantom fixed labels"),
        Image(moving_labels, moving_grid, "phantom moving labels"),
        truth,
        points,
        truth.map_points(points),
    )


# -- grids and the true map -----------------------------------------------------------------------------------------


def _fixed_grid(shape: Shape, voxel_size: float, scale: float) -> Grid:
    affine = np.diag([voxel_size, voxel_size, voxel_size, 1.0])
    affine[:3, 3] = CENTRE * scale - voxel_size * (np.array(shape) - 1) / 2
    return Grid(shape, affine)


def _moving_grid(fixed: Grid, affine: Affine) -> Grid:
    """Lay an oblique anterior-superior-left grid, its voxel size another along each axis, over the moved head."""
    size = fixed.voxel_size * (1.12, 0.96, 1.04)
    axes = np.array(((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
    span = (np.array(fixed.shape) * fixed.voxel_size)[[1, 2, 0]]
    shape = tuple(int(n) for n in np.ceil(span / size))
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (0.04, -0.03, 0.05)).as_matrix() @ axes * size
    matrix[:3, 3] = affine.map_points(fixed.centre) - matrix[:3, :3] @ (np.array(shape) - 1) / 2
    return Grid(shape, matrix)  # type: ignore[arg-type]


def _draw_affine(scale: float, draw: np.random.Generator) -> Affine:
    angles = draw.choice((-1, 1), 3) * draw.uniform(0.06, 0.14, 3)
    stretch = np.diag(draw.uniform(0.94, 1.07, 3)) + draw.uniform(-0.03, 0.03, (3, 3))
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix() @ stretch
    matrix[:3, 3] = draw.choice((-1, 1), 3) * draw.uniform(4, 12, 3) * scale
    return Affine(matrix)


def _draw_warp(grid: Grid, scale: float, draw: np.random.Generator) -> Displacement:
    """Smooth noise on a coarse lattice, zero at the border, with slopes below 0.5 so that the inverse exists."""
    shape = tuple(max(6, round(n * grid.voxel_size[0] / (8 * scale))) for n in grid.shape)
    step = (np.array(grid.shape) - 1) * grid.voxel_size / (np.array(shape) - 1)
    window = [np.sin(np.linspace(0, np.pi, n)) ** 0.5 for n in shape]
    field = np.stack([gaussian_filter(draw.standard_normal(shape), 2.2, mode="constant") for _ in range(3)])
    field *= window[0][:, None, None] * window[1][:, None] * window[2]
    slopes = np.stack([np.gradient(u, *step) for u in field])
    steepest = np.linalg.norm(np.moveaxis(slopes, (0, 1), (-2, -1)), ord=2, axis=(-2, -1)).max()
    field *= min(9.0 * scale / np.linalg.norm(field, axis=0).max(), 0.5 / steepest)
    inverse = _inverse_on_lattice(field, step)
    return Displacement(_refined(field, grid.shape), grid, _refined(inverse, grid.shape))


def _inverse_on_lattice(field: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve v = -u(x + v) by fixed point: a contraction, because the slopes of u are below 0.5."""
    voxels = np.indices(field.shape[1:], dtype=np.float64)
    splines = [spline_filter(u, order=3, mode="nearest") for u in field]
    inverse = -field
    for _ in range(16):
        at = voxels + inverse / step[:, None, None, None]
        inverse = -np.stack([map_coordinates(u, at, order=3, mode="nearest", prefilter=False) for u in splines])
    return inverse


def _refined(field: NDArray[np.float64], shape: Shape) -> NDArray[np.float32]:
    """Cubic spline from the coarse lattice to every voxel, one axis after the other."""
    for axis, count in enumerate(shape, start=1):
        coarse = field.shape[axis]
        basis = make_interp_spline(np.arange(coarse), np.eye(coarse), k=3)(np.linspace(0, coarse - 1, count))
        field = np.moveaxis(np.tensordot(basis, field, (1, axis)).astype(np.float64, copy=False), 0, axis)
    return np.ascontiguousarray(field, dtype=np.float32)


def _positions(grid: Grid, back: tuple[Affine, Displacement] | None, scale: float) -> tuple[Indices, Points]:
    """Flat indices of the voxels that may hold brain, and where they lie in the anatomy (mm)."""
    matrix = grid.affine if back is None else back[0].matrix @ grid.affine
    i, j, k = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in grid.shape), indexing="ij", sparse=True)
    axes = [m[0] * i + (m[1] * j + (m[2] * k + m[3])) for m in matrix[:3].astype(np.float32)]
    reach, centre = (scale * _REACH).astype(np.float32), (scale * CENTRE).astype(np.float32)
    gauge = sum(((x - c) / r) ** 2 for x, c, r in zip(axes, centre, reach, strict=True))
    inside = np.flatnonzero(gauge < 1)
    points = np.stack([x.reshape(-1)[inside] for x in axes], axis=-1)
    if back is not None:
        points = back[1].map_points(points).astype(np.float32)
    return inside, np.asarray(points / scale, np.float32)


def _render(
    anatomy: Anatomy,
    grid: Grid,
    positions: tuple[Indices, Points],
    softness: float,
    draw: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Volume and labels: the anatomy under a slow bias field, with noise inside the brain."""
    inside, points = positions
    canvas = anatomy.evaluate(points, max(softness, 1.0))
    slopes = draw.uniform(-0.0012, 0.0012, 3).astype(np.float32)
    bias = 1 + (points - CENTRE.astype(np.float32)) @ slopes
    noise = draw.normal(0, 0.018, len(points)).astype(np.float32)
    value = np.where(canvas.value > 0.06, np.maximum(canvas.value * bias + noise, 0.02), 0)
    volume, labels = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.uint8)
    volume.reshape(-1)[inside] = 1000 * value
    labels.reshape(-1)[inside] = canvas.label
    return volume, labels
