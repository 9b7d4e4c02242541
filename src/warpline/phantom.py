"""A synthetic brain: two T1-like images with labels and the exact map between them, made without any download.

Anatomy is a function of position: the fixed image evaluates it on its grid, the moving image on another grid through
the inverse of the known map. Neither image is ever resampled, so the map is the truth for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter
from scipy.spatial.transform import Rotation

from warpline.errors import UsageError
from warpline.images import Image
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid, Shape

Points = NDArray[np.float32]
Values = NDArray[np.float32]
Indices = NDArray[np.intp]

_FIELD_OF_VIEW = np.array((192.0, 224.0, 192.0))
_CENTRE = np.array((0.0, -18.0, 8.0))
_REACH = np.array((78.0, 98.0, 84.0))

_WHITE, _GREY, _FLUID = 0.95, 0.62, 0.2
_CORTEX, _SULCUS = 3.6, 0.8
"""Thickness of the cortex and half-width of a sulcus, in mm."""

LABELS = {
    2: "left white matter",
    41: "right white matter",
    3: "left cortex",
    42: "right cortex",
    4: "left lateral ventricle",
    43: "right lateral ventricle",
    7: "left cerebellar white matter",
    46: "right cerebellar white matter",
    8: "left cerebellar cortex",
    47: "right cerebellar cortex",
    10: "left thalamus",
    49: "right thalamus",
    11: "left caudate",
    50: "right caudate",
    12: "left putamen",
    51: "right putamen",
    13: "left pallidum",
    52: "right pallidum",
    17: "left hippocampus",
    53: "right hippocampus",
    14: "third ventricle",
    15: "fourth ventricle",
    16: "brain stem",
    24: "cerebrospinal fluid",
}
"""Label to structure, numbered as FreeSurfer numbers them."""

_STRUCTURES: tuple[tuple[tuple[int, int], float, tuple[tuple[float, float, float, float], ...]], ...] = (
    ((16, 16), 0.86, ((0, -14, -8, 10), (0, -22, -18, 11), (0, -28, -34, 13), (0, -36, -66, 7))),
    ((15, 15), _FLUID, ((0, -42, -27, 3.5), (0, -44, -36, 4.5))),
    ((10, 49), 0.78, ((6, -8, 7, 5), (11, -18, 8, 8), (15, -28, 7, 6))),
    ((14, 14), _FLUID, ((0, 0, -8, 2), (0, -6, 4, 2.6), (0, -22, 6, 2.4))),
    ((13, 52), 0.83, ((16, 4, -2, 4), (21, -6, 1, 5.5))),
    ((12, 51), 0.69, ((24, 14, -2, 5), (28, 2, 3, 6), (30, -14, 5, 3.5))),
    ((11, 50), 0.66, ((12, 16, -2, 5.5), (14, 18, 9, 5.5), (16, 0, 20, 4), (22, -24, 22, 2.5))),
    ((17, 53), 0.63, ((22, -6, -20, 7), (26, -18, -17, 5.5), (27, -34, -6, 4))),
    (
        (4, 43),
        _FLUID,
        ((7, 30, 3, 3.5), (7, 16, 15, 5.5), (8, -6, 24, 6), (17, -32, 21, 7.5), (26, -42, 10, 7), (24, -66, 5, 3.5)),
    ),
    ((4, 43), _FLUID, ((26, -42, 10, 6.5), (34, -28, -9, 3), (33, -12, -17, 2.2))),
)
"""Labels (left, right), intensity, and a chain of balls (|x|, y, z, radius in mm); later structures cover earlier."""

_LANDMARKS = np.array(
    [(x, y, z) for x, y, z, _ in (knot for _, _, chain in _STRUCTURES for knot in chain)]
    + [(-x, y, z) for x, y, z, _ in (knot for _, _, chain in _STRUCTURES for knot in chain) if x > 0]
    + [(0, 62, 10), (0, -96, 10), (58, -20, 30), (-58, -20, 30), (0, -20, 66), (24, -64, -40), (-24, -64, -40)]
)
"""The knots above and the poles of the brain, in anatomy's mm."""


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
    """
    if len(shape) != 3 or min(shape) < 16 or not voxel_size > 0:
        raise UsageError(f"phantom of shape {shape}, voxel size {voxel_size}; 16 voxels or more, size above 0 needed")
    draw = np.random.default_rng(seed)
    scale = float(np.min(np.array(shape) * voxel_size / _FIELD_OF_VIEW))
    grid = _fixed_grid(shape, voxel_size, scale)
    anatomy = _Anatomy.drawn(draw)
    warp = _draw_warp(grid, scale, draw)
    affine = _draw_affine(scale, draw)
    moving_grid = _moving_grid(grid, affine)
    here = _positions(grid, None, scale)
    there = _positions(moving_grid, (affine.inverse(), warp.inverse()), scale)
    fixed, fixed_labels = _render(anatomy, grid, here, voxel_size / scale, draw)
    moving, moving_labels = _render(anatomy, moving_grid, there, voxel_size / scale, draw)
    truth = Chain((warp, affine))
    points = _LANDMARKS * scale
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
    affine[:3, 3] = _CENTRE * scale - voxel_size * (np.array(shape) - 1) / 2
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
    reach, centre = (scale * _REACH).astype(np.float32), (scale * _CENTRE).astype(np.float32)
    gauge = sum(((x - c) / r) ** 2 for x, c, r in zip(axes, centre, reach, strict=True))
    inside = np.flatnonzero(gauge < 1)
    points = np.stack([x.reshape(-1)[inside] for x in axes], axis=-1)
    if back is not None:
        points = back[1].map_points(points).astype(np.float32)
    return inside, np.asarray(points / scale, np.float32)


# -- the anatomy ----------------------------------------------------------------------------------------------------


def _ellipsoid(points: Points, centre: tuple[float, ...], radii: tuple[float, ...]) -> Values:
    """Signed distance to an ellipsoid, exact near its surface; negative inside."""
    offset = points - np.array(centre, np.float32)
    radius = np.array(radii, np.float32)
    near = np.sqrt(np.einsum("ni,ni->n", offset / radius, offset / radius)) + np.float32(1e-6)
    slope = np.sqrt(np.einsum("ni,ni->n", offset / radius**2, offset / radius**2)) + np.float32(1e-6)
    return np.asarray(near * (near - 1) / slope, dtype=np.float32)


def _chain_of_balls(points: Points, knots: tuple[tuple[float, float, float, float], ...]) -> Values:
    """Signed distance to balls swept from knot to knot."""
    nearest = np.full(len(points), np.inf, np.float32)
    for first, last in pairwise(knots):
        start, way = np.array(first[:3], np.float32), np.array(last[:3], np.float32) - np.array(first[:3], np.float32)
        along = np.clip((points - start) @ way / (way @ way), 0, 1)
        gap = points - start - along[:, None] * way
        radius = first[3] + along * (last[3] - first[3])
        np.minimum(nearest, np.sqrt(np.einsum("ni,ni->n", gap, gap)) - radius, out=nearest)
    return nearest


def _blend(a: Values, b: Values, width: float) -> Values:
    """Smooth minimum: the union of two shapes with a rounded seam of `width` mm."""
    weight = np.clip(0.5 + 0.5 * (b - a) / width, 0, 1)
    return np.asarray(b + (a - b) * weight - width * weight * (1 - weight), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Canvas:
    """Intensity and label of every point, painted structure by structure with soft edges."""

    points: Points
    value: Values
    label: NDArray[np.uint8]
    right: NDArray[np.bool_]
    softness: float

    def paint(self, where: Indices, distance: Values, intensity: Values | float, labels: tuple[int, int]) -> None:
        """Cover points with signed distance below zero; the edge is as soft as a voxel is wide."""
        share = np.clip(0.5 - distance / self.softness, 0, 1)
        self.value[where] += share * (intensity - self.value[where])
        inside = where[distance < 0]
        self.label[inside] = np.where(self.right[inside], labels[1], labels[0])


@dataclass(frozen=True, eq=False)
class _Anatomy:
    """Where the sulci run: random waves on the sphere of directions, bent by slower waves in space."""

    waves: NDArray[np.float32]
    phases: NDArray[np.float32]
    bends: NDArray[np.float32]

    @classmethod
    def drawn(cls, draw: np.random.Generator) -> _Anatomy:
        directions = draw.standard_normal((12, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        wavelength = draw.uniform(22.0, 32.0, (12, 1))
        bends = draw.uniform((0.1, -np.pi), (0.16, np.pi), (3, 2))
        return cls(
            (2 * np.pi * directions / wavelength).astype(np.float32),
            draw.uniform(0, 2 * np.pi, 12).astype(np.float32),
            bends.astype(np.float32),
        )

    def evaluate(self, points: Points, softness: float) -> _Canvas:
        """Intensity (white matter 0.95, background 0) and label at points (N, 3) in the anatomy's mm."""
        right = points[:, 0] > 0
        folded = points.copy()
        folded[:, 0] = np.abs(points[:, 0])
        count = len(points)
        canvas = _Canvas(folded, np.zeros(count, np.float32), np.zeros(count, np.uint8), right, softness)
        _paint_cerebellum(canvas)
        self._paint_cerebrum(canvas, points)
        for labels, intensity, knots in _STRUCTURES:
            box = np.array(knots)
            low = (box[:, :3] - box[:, 3:]).min(axis=0) - softness
            high = (box[:, :3] + box[:, 3:]).max(axis=0) + softness
            near = np.flatnonzero(((folded > low) & (folded < high)).all(axis=1))
            canvas.paint(near, _chain_of_balls(folded[near], knots), intensity, labels)
        return canvas

    def _paint_cerebrum(self, canvas: _Canvas, points: Points) -> None:
        outline = _cerebrum(canvas.points)
        near = np.flatnonzero(outline < canvas.softness)
        depth, folded = -outline[near], canvas.points[near]
        between, lateral = _fissures(folded, points[near, 0])
        sulcus = np.minimum(self._sulci(folded, points[near, 0], np.minimum(depth, between + 4)), lateral)
        depth -= 2.2 * np.exp(-((sulcus / 3.5) ** 2))
        canvas.paint(near, -depth, _FLUID, (24, 24))
        pial = np.maximum(_SULCUS - np.minimum(sulcus, between), -depth)
        canvas.paint(near, pial, _GREY, (3, 42))
        canvas.paint(near, np.asarray(pial + _CORTEX, np.float32), _WHITE, (2, 41))

    def _sulci(self, folded: Points, x: Values, depth: Values) -> Values:
        """Distance to the sheets that run inwards from the zero lines of the waves, down to a varying depth."""
        bent = folded - np.array((0, *_CENTRE[1:]), np.float32)
        bent += 9 * np.sin(folded[:, [1, 2, 0]] * self.bends[:, 0] + self.bends[:, 1])
        bent[:, 1] += 0.05 * x
        radius = np.sqrt(np.einsum("ni,ni->n", bent, bent)) + np.float32(1e-3)
        on_sphere = bent * (70 / radius)[:, None]
        turns = on_sphere @ self.waves.T + self.phases
        height = np.sin(turns).sum(axis=1)
        slope = np.cos(turns) @ self.waves
        slope -= on_sphere * (np.einsum("ni,ni->n", slope, on_sphere) / 70**2)[:, None]
        steep = np.sqrt(np.einsum("ni,ni->n", slope, slope) + np.float32(0.05))
        aside = np.abs(height) / steep * radius / 70
        floor = 17 + 6 * np.sin(0.07 * folded[:, 1] + self.phases[0]) * np.cos(0.08 * folded[:, 2] + self.phases[1])
        return np.asarray(np.hypot(aside, np.maximum(depth - floor, 0) + np.maximum(36 - radius, 0)), np.float32)


def _cerebrum(folded: Points) -> Values:
    """Signed distance to both hemispheres: a dome on a floor, with the temporal lobes hanging below."""
    dome = _ellipsoid(folded, (0, -16, 16), (68, 87, 60))
    floor = -18 + 0.03 * (folded[:, 1] + 16) - folded[:, 2]
    body = -_blend(-dome, -floor.astype(np.float32), 14)
    temporal = _ellipsoid(folded, (42, -12, -17), (24, 44, 23))
    return _blend(body, temporal, 7)


def _fissures(folded: Points, x: Values) -> tuple[Values, Values]:
    """Distance to the sheet between the hemispheres, and to the one above each temporal lobe."""
    y, z = folded[:, 1], folded[:, 2]
    callosum = (np.hypot((y + 8) / 40, (z - 6) / 26) - 1) * 26
    middle = 1.6 * np.sin(0.13 * y + 0.09 * z) + 1.2 * np.cos(0.11 * z - 0.06 * y)
    between = np.hypot(x - middle, np.maximum(-callosum, 0))
    level = 0.94 * (z + 7 - 0.32 * (y + 12))
    ends = np.maximum(y - 22, 0) + np.maximum(-52 - y, 0)
    inwards = np.maximum(33 + 3 * np.sin(0.15 * y) - folded[:, 0], 0)
    return between, np.hypot(level + 2 * np.sin(0.13 * y + 0.1 * folded[:, 0]), inwards + ends)


def _paint_cerebellum(canvas: _Canvas) -> None:
    """Two lobes with white branches that end in thin folds."""
    lobes = _ellipsoid(canvas.points, (25, -62, -36), (31, 30, 23))
    outline = _blend(lobes, _ellipsoid(canvas.points, (0, -64, -37), (14, 25, 19)), 6)
    near = np.flatnonzero(outline < canvas.softness)
    folded = canvas.points[near]
    angle = np.arctan2(folded[:, 2] + 38, folded[:, 1] + 48)
    branches = np.cos(15 * angle + 0.06 * folded[:, 0])
    folds = np.asarray(_GREY + 0.05 * np.cos(1.1 * np.hypot(folded[:, 1] + 48, folded[:, 2] + 38)), np.float32)
    canvas.paint(near, outline[near], folds, (8, 47))
    canvas.paint(near, np.asarray(outline[near] + 8 - 4 * branches, np.float32), 0.9, (7, 46))


def _render(
    anatomy: _Anatomy,
    grid: Grid,
    positions: tuple[Indices, Points],
    softness: float,
    draw: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Volume and labels: the anatomy under a slow bias field, with noise inside the brain."""
    inside, points = positions
    canvas = anatomy.evaluate(points, max(softness, 1.0))
    slopes = draw.uniform(-0.0012, 0.0012, 3).astype(np.float32)
    bias = 1 + (points - _CENTRE.astype(np.float32)) @ slopes
    noise = draw.normal(0, 0.018, len(points)).astype(np.float32)
    value = np.where(canvas.value > 0.06, np.maximum(canvas.value * bias + noise, 0.02), 0)
    volume, labels = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.uint8)
    volume.reshape(-1)[inside] = 1000 * value
    labels.reshape(-1)[inside] = canvas.label
    return volume, labels
