"""Spread of maps about one of them: root mean square distances in mm at every voxel, added up one map after the other.

For the voxel x of the fixed image, the map ``T(x) = A (x + u(x))`` and maps ``T_k = A B_k (x + u_k(x))``::

    spread(x) = sqrt( mean over k of | B_k (x + u_k(x)) - (x + u(x)) |^2 )

in mm of the fixed world, in which displacement fields are written: the affine A maps it on. It is a distance from the
map that is written, and not from the mean of the others, since that map is what is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.images import Image
from warpline.images.foreground import THRESHOLD
from warpline.images.intensity import Normalised
from warpline.space.fields import to_world
from warpline.space.grid import Grid, Matrix

NAME = "uncertainty"

PERCENTILE = 0.95
"""Of the spread inside the object, for reports."""


@dataclass(frozen=True, eq=False)
class Spread:
    """How far apart perturbed runs end.

    Parameters
    ----------
    image : Image
        Root mean square distance in mm from the map of the unperturbed run, float32, on the fixed grid that was
        registered.
    runs : int
        Perturbed runs.
    median, p95, largest : float
        Of it inside the object, in mm.
    noise : (float, float)
        Standard deviation of the noise that was added to fixed and moving image, as a share of their range.
    start : float
        Root mean square distance in mm by which starts were moved.
    warnings : tuple of str
        A sentence for everything that could not be perturbed.
    """

    image: Image
    runs: int
    median: float
    p95: float
    largest: float
    noise: tuple[float, float]
    start: float
    warnings: tuple[str, ...] = ()

    def as_report(self) -> dict[str, Any]:
        """The numbers as plain JSON values."""
        fixed, moving = self.noise
        return {
            **{name: getattr(self, name) for name in ("runs", "median", "p95", "largest")},
            "noise": {"fixed": fixed, "moving": moving},
            "start": self.start,
        }


def spread_warnings(spread: Spread | None) -> tuple[str, ...]:
    """Those of a spread, where there is one."""
    return () if spread is None else spread.warnings


class FieldDistances:
    """Sum of squared distances of deformable maps from one of them, on the backend; memory does not grow with them.

    Parameters
    ----------
    grid : Grid
        Of the fixed image.
    field : (3, I, J, K)
        Displacement of that map in voxels of a box of the grid.
    spans : tuple of slice
        The box; beyond it the displacement is 0.
    backend : Backend
        Where it is.
    """

    def __init__(self, grid: Grid, field: Array, spans: tuple[slice, ...], backend: Backend) -> None:
        self._grid, self._backend = grid, backend
        self._field = self._on_whole_grid(field, spans)
        self._sum = backend.zeros(grid.shape)
        self._count = 0

    def add(self, field: Array, spans: tuple[slice, ...], shift: Matrix) -> None:
        """Count a map: its displacement in voxels of a box, and the ``B_k`` (4, 4) after it."""
        moved = self._on_whole_grid(field, spans)
        apart = moved - self._field
        for axis, n in enumerate(self._grid.shape):
            places = np.arange(n, dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
            moved[axis] += self._backend.upload(places)
        back = self._grid.inverse_affine @ (shift - np.eye(4)) @ self._grid.affine
        for row, target in zip(back[:3].astype(np.float32), apart, strict=True):
            target += row[3]
            for weight, component in zip(row[:3], moved, strict=True):
                target += weight * component
        del moved
        for component in to_world(apart, self._grid):
            self._sum += component * component
        self._count += 1

    def root_mean_square(self) -> Array:
        """The spread (I, J, K) in mm."""
        return (self._sum / np.float32(max(self._count, 1))) ** np.float32(0.5)

    def _on_whole_grid(self, field: Array, spans: tuple[slice, ...]) -> Array:
        whole = self._backend.zeros((3, *self._grid.shape))
        whole[(slice(None), *spans)] = field
        return whole


class AffineDistances:
    """The same for affine maps: a quadratic form of the place.

    Parameters
    ----------
    grid : Grid
        Of the fixed image.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._form = np.zeros((4, 4))
        self._count = 0

    def add(self, shift: Matrix) -> None:
        """Count a map: its ``B_k`` (4, 4), fixed world to fixed world."""
        change = (shift - np.eye(4))[:3] @ self._grid.affine
        self._form += change.T @ change
        self._count += 1

    def root_mean_square(self) -> NDArray[np.float32]:
        """The spread (I, J, K) in mm, on the host."""
        form = self._form / max(self._count, 1)
        places = [*np.meshgrid(*map(np.arange, self._grid.shape), indexing="ij", sparse=True), np.ones((1, 1, 1))]
        rows = (sum(form[a, b] * places[b] for b in range(4)) * places[a] for a in range(4))
        squares = np.zeros(self._grid.shape)
        for row in rows:
            squares += row
        return np.asarray(np.sqrt(np.maximum(squares, 0)), dtype=np.float32)


def object_of(fixed: Normalised) -> Array:
    """Where the spread is summed up, (I, J, K) uint8: the foreground of the fixed image, inside its mask."""
    shown = (fixed.volume > np.float32(THRESHOLD)).astype(np.uint8)
    if fixed.mask is not None:
        shown *= fixed.mask != 0
    return shown if shown.max() else fixed.object_mask


def summarise(
    distances: Array, fixed: Normalised, noise: tuple[float, float], start: float, *, runs: int, backend: Backend
) -> Spread:
    """The spread with its numbers.

    Parameters
    ----------
    distances : (I, J, K) float32
        In mm, on the backend.
    fixed : Normalised
        The fixed image, there.
    noise, start, runs
        As for `Spread`.
    backend : Backend
        Where they are.
    """
    inside = object_of(fixed)
    (_, _, median, largest), (_, _, p95, _) = (
        backend.statistics(distances, quantile, mask=inside) for quantile in (0.5, PERCENTILE)
    )
    image = Image(backend.download(distances), fixed.grid, NAME)
    return Spread(image, runs, float(median), float(p95), float(largest), noise, start)
