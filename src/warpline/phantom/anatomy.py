"""The anatomy of the synthetic brain: intensity and label as functions of position."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Values = NDArray[np.float32]
Indices = NDArray[np.intp]

CENTRE = np.array((0.0, -18.0, 8.0))
"""Of the brain, in anatomy's mm."""

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

LANDMARKS = np.array(
    [(x, y, z) for x, y, z, _ in (knot for _, _, chain in _STRUCTURES for knot in chain)]
    + [(-x, y, z) for x, y, z, _ in (knot for _, _, chain in _STRUCTURES for knot in chain) if x > 0]
    + [(0, 62, 10), (0, -96, 10), (58, -20, 30), (-58, -20, 30), (0, -20, 66), (24, -64, -40), (-24, -64, -40)]
)
"""The knots above and the poles of the brain, in anatomy's mm."""


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
class Canvas:
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
class Anatomy:
    """Where the sulci run: random waves on the sphere of directions, bent by slower waves in space."""

    waves: NDArray[np.float32]
    phases: NDArray[np.float32]
    bends: NDArray[np.float32]

    @classmethod
    def drawn(cls, draw: np.random.Generator) -> Anatomy:
        """Sulci as a generator of random numbers has them."""
        directions = draw.standard_normal((12, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        wavelength = draw.uniform(22.0, 32.0, (12, 1))
        bends = draw.uniform((0.1, -np.pi), (0.16, np.pi), (3, 2))
        return cls(
            (2 * np.pi * directions / wavelength).astype(np.float32),
            draw.uniform(0, 2 * np.pi, 12).astype(np.float32),
            bends.astype(np.float32),
        )

    def evaluate(self, points: Points, softness: float) -> Canvas:
        """Intensity (white matter 0.95, background 0) and label at points (N, 3) in the anatomy's mm."""
        right = points[:, 0] > 0
        folded = points.copy()
        folded[:, 0] = np.abs(points[:, 0])
        count = len(points)
        canvas = Canvas(folded, np.zeros(count, np.float32), np.zeros(count, np.uint8), right, softness)
        _paint_cerebellum(canvas)
        self._paint_cerebrum(canvas, points)
        for labels, intensity, knots in _STRUCTURES:
            box = np.array(knots)
            low = (box[:, :3] - box[:, 3:]).min(axis=0) - softness
            high = (box[:, :3] + box[:, 3:]).max(axis=0) + softness
            near = np.flatnonzero(((folded > low) & (folded < high)).all(axis=1))
            canvas.paint(near, _chain_of_balls(folded[near], knots), intensity, labels)
        return canvas

    def _paint_cerebrum(self, canvas: Canvas, points: Points) -> None:
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
        bent = folded - np.array((0, *CENTRE[1:]), np.float32)
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


def _paint_cerebellum(canvas: Canvas) -> None:
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
