"""What a plane of an image or of a displacement holds, in shades and numbers ready to be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter

from warpline.report.cuts import Cut, Plane
from warpline.transforms import Displacement

SHRINKS_GROWS = ("#c9e7ff", "#4a93d9", "#1d3a5f", "#0e1116", "#6b2d16", "#e0703a", "#ffdcb8")
"""Dark where nothing changes, so that what changes stands out on a dark page."""


@dataclass(frozen=True, eq=False)
class Deformed:
    """A displacement on a cut: mapped positions along the page's two axes (mm), log-Jacobian, folds, length (mm)."""

    position: tuple[Plane, Plane]
    log_jacobian: Plane
    folds: NDArray[np.float32]
    length: Plane

    @classmethod
    def on(cls, cut: Cut, warp: Displacement) -> Deformed:
        """Sample a displacement, on any grid, on a cut."""
        shift = cut.displacement(warp)
        size = cut.grid.voxel_size
        across, up = (np.asarray(cut.voxels[a] * size[a] + shift[a], np.float32) for a in cut.axes[1:])
        jacobian = cut.jacobian(warp, shift)
        return cls(
            (across, up),
            np.log(np.maximum(jacobian, np.float32(0.01))),
            (jacobian <= 0).astype(np.float32),
            np.linalg.norm(shift, axis=0),
        )


def shades(plane: Plane, black: float, white: float) -> Plane:
    """Intensities as shades from 0 to 1; what is not finite is black."""
    scaled = (np.nan_to_num(plane, nan=black) - black) / (white - black)
    return np.asarray(np.nan_to_num(np.clip(scaled, 0, 1)), dtype=np.float32)


def silhouette(seen: Plane) -> NDArray[np.float32]:
    """1 inside the body, holes filled, falling softly to 0 outside."""
    filled = binary_fill_holes(gaussian_filter(seen, 1.5) > 0.1)
    return np.asarray(gaussian_filter(filled.astype(np.float32), 1.0))


def tissue_borders(seen: Plane) -> tuple[float, ...]:
    """The two shades that part a picture best into three classes (Otsu 1979, doi:10.1109/TSMC.1979.4310076)."""
    counts, edges = np.histogram(seen, bins=32, range=(0, 1))
    weight = np.concatenate(([0.0], np.cumsum(counts)))
    moment = np.concatenate(([0.0], np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)))

    def between(cut: tuple[int, int]) -> float:
        ends = np.array((0, *cut, 32))
        weights, moments = np.diff(weight[ends]), np.diff(moment[ends])
        return float((moments**2 / np.maximum(weights, 1)).sum())

    return tuple(float(edges[at]) for at in max(combinations(range(1, 32), 2), key=between))


def round_up(value: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten; 1e-3 at least."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-3)))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= min(value, 10 * power) * (1 - 1e-9)))
