"""Slices through a volume, turned the way people look at brains: superior or anterior up, right on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.images import Image
from warpline.images.foreground import foreground_threshold, subsample
from warpline.report.slice_interpolation import Line, Plane, Planes, interpolate_planes
from warpline.space import Displacement
from warpline.space.grid import Grid, apply_affine
from warpline.space.jacobian import determinant

_VIEWS = {"Sagittal": (0, 1, 2), "Coronal": (1, 0, 2), "Axial": (2, 0, 1)}
"""World axes (x, y, z) of each view: normal, rightwards on the page, upwards on the page."""

_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))

_MAX_PIXELS = 640
"""Most pixels along a side of a slice through the middle; a picture has room for no more."""

_NEGLIGIBLE = 1e-7
"""Share of a component that single precision loses anyway."""

_OFFSET = {"Sagittal": 0.12, "Coronal": 0.0, "Axial": 0.0}
"""How far a slice lies from the middle, as a share of the width: the midline itself shows little brain."""


@dataclass(frozen=True, eq=False)
class Slice:
    """A plane through a grid, parallel to two of its axes, sampled with square pixels.

    Parameters
    ----------
    name : str
        Sagittal, Coronal or Axial: the nearest of them.
    grid : Grid
        The grid that is sliced.
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

    @property
    def position(self) -> float:
        """World coordinate (mm) of the middle of the slice, along the world axis nearest to its normal."""
        middle = self.voxels[:, self.voxels.shape[1] // 2, self.voxels.shape[2] // 2]
        return float(apply_affine(self.grid.affine, middle)[_VIEWS[self.name][0]])

    @staticmethod
    def locate(slices: Sequence[Slice], voxel: NDArray[np.float64]) -> dict[str, float]:
        """Which of some parallel slices is nearest to a voxel (3,), and where on it: shares of its width and height."""
        normal, across, up = slices[0].axes
        distances = [abs(float(section.voxels[normal][0, 0] - voxel[normal])) for section in slices]
        columns, rows = slices[0].voxels[across][0], slices[0].voxels[up][:, 0]
        x, y = ((voxel[axis] - line[0]) / (line[-1] - line[0]) for axis, line in ((across, columns), (up, rows)))
        return {"cut": int(np.argmin(distances)), "x": round(float(x), 3), "y": round(float(y), 3)}

    def sample(self, image: Image, finer: int = 1) -> Plane:
        """Intensities of a volume on any grid, linear in world space, 0 outside it: (H, W).

        Each pixel is the mean of `finer` x `finer` samples: more than 1 where pixels are larger than voxels.
        """
        return np.asarray(sample_slices((self,), image, finer)[0])

    def samples_per_pixel(self, image: Image) -> int:
        """Samples along a pixel that an image with smaller voxels needs, 3 at most."""
        return int(np.clip(round(self.pixel / float(image.grid.voxel_size.min())), 1, 3))


def sample_slices(slices: Sequence[Slice], image: Image, finer: int = 1) -> Planes:
    """Intensities on parallel slices of one size, as `Slice.sample` gives them: (N, H, W)."""
    first, matrix = slices[0], slices[0].grid.voxel_map_to(image.grid)
    planes = interpolate_planes(image.data, matrix, _lines(slices, finer), first.axes, beyond="constant")
    height, width = first.voxels.shape[1:]
    return planes if finer == 1 else planes.reshape(-1, height, finer, width, finer).mean((2, 4), dtype=np.float32)


def displacement_on_slices(
    slices: Sequence[Slice], warp: Displacement, *, ahead: int = 0, coarser: int = 1
) -> NDArray[np.float32]:
    """Displacement in mm along the axes of the grid, on parallel slices of one size: (3, N, H, W).

    The slices are moved `ahead` voxels along their normal; `coarser` takes every so many pixels of rows and columns.
    """
    first = slices[0]
    normal, across, up = first.axes
    lines = _lines(slices)
    lines[normal] = lines[normal] + ahead
    lines |= {axis: lines[axis][::coarser] for axis in (across, up)}
    matrix = first.grid.voxel_map_to(warp.grid)
    planes = [interpolate_planes(component, matrix, lines, first.axes, beyond="nearest") for component in warp.field]
    directions = first.grid.affine[:3, :3] / first.grid.voxel_size
    return _rotate_components(planes, np.linalg.inv(directions).astype(np.float32))


def _rotate_components(planes: Sequence[Planes], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Components (N, H, W) along other axes: those of most grids are taken as they are, or change their sign."""
    turned = np.zeros((3, *planes[0].shape), np.float32)
    for out, row in zip(turned, matrix, strict=True):
        for axis in np.flatnonzero(np.abs(row) > _NEGLIGIBLE):
            out += planes[axis] if row[axis] == 1 else row[axis] * planes[axis]
    return turned


def jacobian_on_slices(
    slices: Sequence[Slice], warp: Displacement, here: NDArray[np.float32], *, coarser: int = 1
) -> Planes:
    """Determinants on parallel slices of one size, from what `displacement_on_slices` gave: (N, H, W).

    Differences across the slices are those between neighbours, where there are more than two.
    """
    first = slices[0]
    normal, across, up = first.axes
    slopes = np.zeros((3, 3, *here.shape[1:]), np.float32)
    if len(slices) > 2:
        places = [float(section.voxels[normal][0, 0]) * first.grid.voxel_size[normal] for section in slices]
        slopes[:, normal] = np.gradient(here, np.array(places, np.float32), axis=1)
    elif first.grid.shape[normal] > 1:
        ahead, behind = (displacement_on_slices(slices, warp, ahead=step, coarser=coarser) for step in (1, -1))
        slopes[:, normal] = (ahead - behind) / np.float32(2 * first.grid.voxel_size[normal])
    for axis, page in ((across, 3), (up, 2)):
        forward = np.sign(first.voxels[axis][-1, -1] - first.voxels[axis][0, 0])
        slopes[:, axis] = np.gradient(here, first.pixel * coarser, axis=page) * np.float32(forward)
    for axis in range(3):
        slopes[axis, axis] += 1
    return determinant(slopes)


def _lines(slices: Sequence[Slice], finer: int = 1) -> dict[int, Line]:
    """Voxel coordinates along each axis of the grid: one for each slice, `finer` for each pixel along the others."""
    first = slices[0]
    normal, across, up = first.axes
    columns, rows = first.voxels[across][0], first.voxels[up][:, 0]
    return {
        normal: np.array([section.voxels[normal][0, 0] for section in slices]),
        across: columns if finer == 1 else _subdivided(columns, finer),
        up: rows if finer == 1 else _subdivided(rows, finer),
    }


def middle_slices(image: Image) -> tuple[Slice, ...]:
    """The three slices through the middle of what the volume shows, or the only one of a 2-D image."""
    frame = _SliceGeometry.around(image)
    least = float(frame.extent(frame.views).max()) / _MAX_PIXELS
    return tuple(
        frame.section(view, frame.middle_of(view), max(frame.finest_pixel(view), least)) for view in frame.views
    )


def slice_series(
    image: Image, count: int, longest: int, *, spacing: float | None = None
) -> tuple[tuple[Slice, ...], ...]:
    """For each anatomical view, evenly spaced slices through what the volume shows; the only slice of a 2-D image.

    Parameters
    ----------
    image : Image
        What is sliced.
    count : int
        Slices for each view; fewer where the volume is thinner than that.
    longest : int
        Most pixels along either side of a slice; all slices share one size of pixel.
    spacing : float, optional
        Millimetres between slices from end to end, `count` at most; without it they leave an eighth out at either end.
    """
    frame = _SliceGeometry.around(image)
    pixel = max(*(frame.finest_pixel(view) for view in frame.views), *(frame.extent(frame.views) / longest))
    return tuple(
        tuple(frame.section(view, at, pixel) for at in frame.positions(view, count, spacing)) for view in frame.views
    )


def display_range(image: Image) -> tuple[float, float]:
    """Intensities to show as black and as white, from a sample of the volume."""
    sample = subsample(image.data)
    black, _ = np.percentile(sample, (1, 99.9))
    inside = sample[sample > foreground_threshold(image)]
    white = black + 1.12 * (np.percentile(inside, 99) - black) if inside.size else black + 1
    return float(black), float(white)


@dataclass(frozen=True, eq=False)
class _SliceGeometry:
    """A grid with the senses of its axes, and where its foreground lies: voxel coordinates (3,)."""

    grid: Grid
    axes: tuple[int, ...]
    signs: tuple[int, ...]
    low: NDArray[np.float64]
    middle: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def around(cls, image: Image) -> _SliceGeometry:
        return cls(image.grid, *image.grid.nearest_axes, *_foreground_extent(image))

    @property
    def views(self) -> tuple[str, ...]:
        """All three, or the one whose normal is a 2-D image's thin axis."""
        thin = [view for view, (normal, _, _) in _VIEWS.items() if self.grid.shape[self.axes[normal]] == 1]
        return tuple(thin[:1] or _VIEWS)

    def along(self, view: str) -> tuple[int, int, int]:
        """Axes of the grid: normal, across, up."""
        normal, across, up = (self.axes[world] for world in _VIEWS[view])
        return normal, across, up

    def facing(self, view: str) -> tuple[int, int, int]:
        """+1 or -1 for the sense of each of them."""
        normal, across, up = (self.signs[world] for world in _VIEWS[view])
        return normal, across, up

    def finest_pixel(self, view: str) -> float:
        return float(min(self.grid.voxel_size[axis] for axis in self.along(view)[1:]))

    def extent(self, views: tuple[str, ...]) -> NDArray[np.float64]:
        """Lengths in mm of what the views show, across and up."""
        lengths = (self.high - self.low) * self.grid.voxel_size
        return np.array([lengths[axis] for view in views for axis in self.along(view)[1:]])

    def middle_of(self, view: str) -> float:
        normal, facing = self.along(view)[0], self.facing(view)[0]
        width = (self.high - self.low)[normal] if self.grid.shape[normal] > 1 else 0.0
        return float(facing * np.floor(facing * (self.middle[normal] + _OFFSET[view] * facing * width) + 0.5))

    def positions(self, view: str, count: int, spacing: float | None = None) -> NDArray[np.float64]:
        """Voxel coordinates along the normal, inside the foreground, in the sense of the world axis."""
        normal, facing = self.along(view)[0], self.facing(view)[0]
        low, high = self.low[normal], self.high[normal]
        if spacing is None:
            margin = 0.12 * (high - low)
            spread = np.linspace(low + margin, high - margin, count)
        else:
            step = max(1.0, round(spacing / self.grid.voxel_size[normal]), np.ceil((high - low) / count))
            spread = np.arange(np.rint(low + (high - low) % step / 2), high + 0.5, step)
        whole = np.unique(np.clip(np.rint(spread), 0, self.grid.shape[normal] - 1))
        return whole if facing > 0 else whole[::-1]

    def section(self, view: str, at: float, pixel: float) -> Slice:
        normal, across, up = self.along(view)
        _, right, top = self.facing(view)
        columns, rows = self._line(across, right, pixel), self._line(up, -top, pixel)
        voxels = np.empty((3, rows.size, columns.size))
        voxels[normal], voxels[across], voxels[up] = at, columns, rows[:, None]
        _, letters_across, letters_up = (_LETTERS[world] for world in _VIEWS[view])
        return Slice(view, self.grid, (normal, across, up), voxels, pixel, (*letters_across, *letters_up))

    def _line(self, axis: int, sign: int, pixel: float) -> NDArray[np.float64]:
        size = self.grid.voxel_size[axis]
        count = max(2, round((self.high[axis] - self.low[axis]) * size / pixel) + 1)
        steps = np.arange(count) - (count - 1) / 2
        line: NDArray[np.float64] = (self.low[axis] + self.high[axis]) / 2 + steps * pixel / size
        return line if sign > 0 else line[::-1]


def _subdivided(line: Line, finer: int) -> Line:
    """Evenly spaced coordinates (N,) at the middles of `finer` parts of each step: (N * finer,)."""
    places = (np.arange(line.size * finer) + 0.5) / finer - 0.5
    return np.asarray(line[0] + (line[1] - line[0]) * places)


def _foreground_extent(image: Image) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Lowest, median and highest voxel coordinate (3,) of the foreground, with a margin; stray specks left out."""
    inside = np.argwhere(subsample(image.data) > foreground_threshold(image))
    shape = np.array(image.grid.shape)
    if not len(inside):
        return np.zeros(3), (shape - 1) / 2, shape - 1.0
    step = np.maximum(1, shape // 64)
    low, middle, high = np.percentile(inside, (0.2, 50, 99.8), axis=0) * step
    margin = 0.05 * (high - low) + step
    return np.maximum(low - margin, 0), middle, np.minimum(high + margin, shape - 1.0)
