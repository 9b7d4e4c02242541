"""Cuts through a volume, turned the way people look at brains: superior or anterior up, right on the right."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from warpline.geometry import Grid
from warpline.image import Image
from warpline.transforms import Displacement

Plane = NDArray[np.float32]

_VIEWS = {"Sagittal": (0, 1, 2), "Coronal": (1, 0, 2), "Axial": (2, 0, 1)}
"""World axes (x, y, z) of each view: normal, rightwards on the page, upwards on the page."""

_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))

_ASIDE = {"Sagittal": 0.12, "Coronal": 0.0, "Axial": 0.0}
"""How far a cut lies from the middle, as a share of the width: the midline itself shows little brain."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A plane through a grid, parallel to two of its axes, sampled with square pixels.

    Parameters
    ----------
    name : str
        Sagittal, Coronal or Axial: the nearest of them.
    grid : Grid
        The grid that is cut.
    axes : (normal, across, up)
        Axes of the grid along each direction of the page.
    voxels : (3, H, W)
        Voxel coordinates of every pixel, row 0 at the top.
    pixel : float
        Side of a pixel, in mm.
    letters : (left, right, bottom, top)
        Where patient left, right, posterior … are.
    """

    name: str
    grid: Grid
    axes: tuple[int, int, int]
    voxels: NDArray[np.float64]
    pixel: float
    letters: tuple[str, str, str, str]

    @property
    def aspect(self) -> float:
        """Width over height."""
        return float(self.voxels.shape[2] / self.voxels.shape[1])

    def sample(self, image: Image) -> Plane:
        """Intensities of a volume on any grid, linear in world space, 0 outside it: (H, W)."""
        return _sampled(image.data, self._on(image.grid, self.voxels), mode="constant")

    def displacement(self, warp: Displacement, ahead: int = 0) -> Plane:
        """Displacement in mm along the grid's axes, on the plane `ahead` voxels further along the normal: (3, H, W)."""
        voxels = self.voxels.copy()
        voxels[self.axes[0]] += ahead
        where = self._on(warp.grid, voxels)
        world = np.stack([_sampled(component, where, mode="nearest") for component in warp.field])
        directions = self.grid.affine[:3, :3] / self.grid.voxel_size
        return np.tensordot(np.linalg.inv(directions).astype(np.float32), world, 1)

    def jacobian(self, warp: Displacement) -> Plane:
        """Determinant of ``I + du/dx`` from central differences on the page and across it: (H, W)."""
        normal, across, up = self.axes
        here = self.displacement(warp)
        slopes = np.zeros((3, 3, *here.shape[1:]), np.float32)
        if self.grid.shape[normal] > 1:
            ahead, behind = self.displacement(warp, 1), self.displacement(warp, -1)
            slopes[:, normal] = (ahead - behind) / np.float32(2 * self.grid.voxel_size[normal])
        for axis, page in ((across, 2), (up, 1)):
            forward = np.sign(self.voxels[axis][-1, -1] - self.voxels[axis][0, 0])
            slopes[:, axis] = np.gradient(here, self.pixel, axis=page) * np.float32(forward)
        matrices = np.moveaxis(slopes, (0, 1), (-2, -1)) + np.eye(3, dtype=np.float32)
        return np.asarray(np.linalg.det(matrices), dtype=np.float32)

    def _on(self, grid: Grid, voxels: NDArray[np.float64]) -> NDArray[np.float64]:
        matrix = self.grid.voxel_map_to(grid)
        return np.tensordot(matrix[:3, :3], voxels, 1) + matrix[:3, 3, None, None]


def cuts_through(image: Image) -> tuple[Cut, ...]:
    """The three cuts through the middle of what the volume shows, or the only one of a 2-D image."""
    axes, signs = _nearest_axes(image.grid)
    low, middle, high = _content(image)
    thin = [view for view, (normal, _, _) in _VIEWS.items() if image.grid.shape[axes[normal]] == 1]
    return tuple(_cut(view, image.grid, (axes, signs), (low, middle, high)) for view in thin[:1] or _VIEWS)


def window(image: Image) -> tuple[float, float]:
    """Intensities to show as black and as white, from a sample of the volume."""
    sample = _thinned(image)
    black, white = np.percentile(sample, (1, 99.9))
    content = sample[sample > black + 0.1 * (white - black)]
    return float(black), float(black + 1.12 * (np.percentile(content, 99) - black)) if content.size else float(
        black + 1
    )


def _cut(
    view: str,
    grid: Grid,
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    content: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> Cut:
    (axes, signs), (low, middle, high) = orientation, content
    normal, across, up = (axes[world] for world in _VIEWS[view])
    size = grid.voxel_size
    pixel = float(min(size[across], size[up]))
    facing, right, top = (signs[world] for world in _VIEWS[view])
    aside = _ASIDE[view] * facing * (high - low)[normal] if grid.shape[normal] > 1 else 0.0

    def run(axis: int, sign: int) -> NDArray[np.float64]:
        count = max(2, round((high[axis] - low[axis]) * size[axis] / pixel) + 1)
        steps = np.arange(count) - (count - 1) / 2
        line: NDArray[np.float64] = (low[axis] + high[axis]) / 2 + steps * pixel / size[axis]
        return line if sign > 0 else line[::-1]

    columns, rows = run(across, right), run(up, -top)
    voxels = np.empty((3, rows.size, columns.size))
    voxels[normal] = facing * np.floor(facing * (middle[normal] + aside) + 0.5)
    voxels[across], voxels[up] = columns, rows[:, None]
    _, letters_across, letters_up = (_LETTERS[world] for world in _VIEWS[view])
    return Cut(view, grid, (normal, across, up), voxels, pixel, (*letters_across, *letters_up))


def _nearest_axes(grid: Grid) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """For world x, y and z: the grid axis that runs along it, and +1 or -1 for its sense."""
    directions = grid.affine[:3, :3] / grid.voxel_size
    axes = max(permutations(range(3)), key=lambda order: sum(abs(directions[w, a]) for w, a in enumerate(order)))
    return axes, tuple(1 if directions[world, axis] > 0 else -1 for world, axis in enumerate(axes))


def _thinned(image: Image) -> NDArray[np.float32]:
    steps = tuple(slice(None, None, max(1, n // 64)) for n in image.data.shape)
    return np.asarray(image.data[steps], dtype=np.float32)


def _content(image: Image) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Lowest, median and highest voxel coordinate (3,) of the bright part, with a margin; stray specks left out."""
    sample = _thinned(image)
    black, white = np.percentile(sample, (1, 99.9))
    bright = np.argwhere(sample > black + 0.1 * (white - black))
    shape = np.array(image.grid.shape)
    if not len(bright):
        return np.zeros(3), (shape - 1) / 2, shape - 1.0
    step = np.maximum(1, shape // 64)
    low, middle, high = np.percentile(bright, (0.2, 50, 99.8), axis=0) * step
    margin = 0.05 * (high - low) + step
    return np.maximum(low - margin, 0), middle, np.minimum(high + margin, shape - 1.0)


def _sampled(volume: NDArray[np.generic], where: NDArray[np.float64], mode: str) -> Plane:
    return map_coordinates(volume, where, np.float32, order=1, mode=mode)  # type: ignore[call-overload, no-any-return]
