"""2-D maps for display: gray levels, log-Jacobian, folds, body masks, local mismatch, Otsu thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter, uniform_filter

from warpline.report.slice_interpolation import Plane
from warpline.report.slices import Slice, displacement_on_slices, jacobian_on_slices
from warpline.space import Displacement

_WINDOW = (1, 5, 5)
"""Planes, rows and columns of the windows in which planes are compared."""

_FLAT = 0.001
"""Variance of shades from 0 to 1 below which a window shows nothing to compare."""

_BINS = 32
"""Of the histogram that tissues are parted by."""


@dataclass(frozen=True, eq=False)
class DeformationMaps:
    """A displacement on slices, (N, H, W) each: mapped positions along the page, log-Jacobian, folds, length.

    Positions and lengths are in mm; folds are 1 where the determinant is not above 0.
    """

    position: tuple[Plane, Plane]
    log_jacobian: Plane
    folds: NDArray[np.float32]
    length: Plane

    @classmethod
    def on(cls, section: Slice, warp: Displacement) -> DeformationMaps:
        """Sample a displacement, on any grid, on one slice; the arrays are (H, W)."""
        found = cls.along((section,), warp)
        across, up = (position[0] for position in found.position)
        return cls((across, up), found.log_jacobian[0], found.folds[0], found.length[0])

    @classmethod
    def along(cls, slices: Sequence[Slice], warp: Displacement, *, coarser: int = 1) -> DeformationMaps:
        """Sample a displacement on parallel slices of one size, on every so many pixels of their rows and columns."""
        shift, first = displacement_on_slices(slices, warp, coarser=coarser), slices[0]
        size, thin = first.grid.voxel_size, slice(None, None, coarser)
        across, up = (np.asarray(first.voxels[a][thin, thin] * size[a] + shift[a], np.float32) for a in first.axes[1:])
        determinant = jacobian_on_slices(slices, warp, shift, coarser=coarser)
        return cls(
            (across, up),
            np.log(np.maximum(determinant, np.float32(0.01))),
            (determinant <= 0).astype(np.float32),
            np.linalg.norm(shift, axis=0),
        )


def rescale_intensity(plane: Plane, black: float, white: float) -> Plane:
    """Intensities as shades from 0 to 1; what is not finite is black."""
    scaled = (plane - np.float32(black)) * np.float32(1 / (white - black))
    np.fmax(scaled, 0, out=scaled)  # NaN becomes 0, too
    return np.asarray(np.minimum(scaled, 1, out=scaled), dtype=np.float32)


def body_mask(seen: Plane) -> NDArray[np.float32]:
    """1 inside the body, holes filled, falling softly to 0 outside."""
    filled = binary_fill_holes(gaussian_filter(seen, 1.5) > 0.1)
    return np.asarray(gaussian_filter(filled.astype(np.float32), 1.0))


def body_masks(seen: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """The same for many planes (N, H, W) at once, filled wherever there is body on all four sides."""
    body = gaussian_filter(seen, (0, blur, blur)) > 0.1
    filled = np.ones_like(body)
    for axis in (1, 2):
        filled &= np.maximum.accumulate(body, axis)
        filled &= np.flip(np.maximum.accumulate(np.flip(body, axis), axis), axis)
    return np.asarray(gaussian_filter(filled.astype(np.float32), (0, blur / 1.5, blur / 1.5)))


def local_mismatch(fixed: NDArray[np.float32], moved: NDArray[np.float32]) -> NDArray[np.float32]:
    """How badly two stacks of planes (N, H, W) fit, 0 to 1: one minus their squared correlation in small windows.

    Where the fixed planes show nothing, it is 0. Contrasts may differ, as they may for the metric of the registration
    (Avants 2008, doi:10.1016/j.media.2007.06.004).
    """

    def mean(planes: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(uniform_filter(planes, _WINDOW))

    first, second = mean(fixed), mean(moved)
    spread, other = (np.maximum(mean(p * p) - m * m, 0) for p, m in ((fixed, first), (moved, second)))
    together = mean(fixed * moved) - first * second
    alike = together**2 / np.maximum(spread * other, _FLAT**2)
    telling = spread / (spread + _FLAT)
    return np.asarray(np.clip(1 - alike, 0, 1) * telling, dtype=np.float32)


def otsu_thresholds(seen: Plane) -> tuple[float, ...]:
    """The two shades that part a picture (H, W) best into three classes (Otsu 1979, doi:10.1109/TSMC.1979.4310076)."""
    return otsu_thresholds_of_each(seen[None])[0]


def otsu_thresholds_of_each(seen: NDArray[np.float32]) -> list[tuple[float, ...]]:
    """The same for each of many pictures (N, H, W)."""
    number = np.arange(len(seen))[:, None, None] * _BINS
    shade = np.minimum((np.clip(seen, 0, 1) * _BINS).astype(np.intp), _BINS - 1) + number
    counts, edges = np.bincount(shade.ravel(), minlength=len(seen) * _BINS), np.linspace(0, 1, _BINS + 1)
    counts = counts.reshape(len(seen), _BINS)
    weight = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
    moment = np.pad(np.cumsum(counts * (edges[1:] + edges[:-1]) / 2, axis=1), ((0, 0), (1, 0)))
    ends = np.array([(0, *pair, _BINS) for pair in combinations(range(1, _BINS), 2)])
    weights, moments = np.diff(weight[:, ends], axis=2), np.diff(moment[:, ends], axis=2)
    between = (moments**2 / np.maximum(weights, 1)).sum(axis=2)
    return [tuple(float(edges[at]) for at in ends[best, 1:3]) for best in np.argmax(between, axis=1)]


def round_up(value: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten; 1e-3 at least."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-3)))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= min(value, 10 * power) * (1 - 1e-9)))
