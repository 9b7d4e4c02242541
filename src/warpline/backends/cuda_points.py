"""The GPU backend's operations over sample points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array, Matrix
from warpline.backends.cuda_launch import MOST_BLOCKS, Defines
from warpline.backends.cuda_workspace import BLOCK, Workspace, block_count

POINT_BLOCKS = 128
"""Most blocks over sample points; a fixed number, so that sums do not depend on the device."""
HISTOGRAM_BYTES = 2**25
"""Most memory for joint histograms of one launch: 16 bytes per cell, for the count and the table of slopes."""

LAUNCH_MATRICES = 16
"""Matrices that are passed by value with a launch, which spares an upload; kernels/sample_points.cuh."""

_MATRICES = np.dtype([("m", np.float64, (LAUNCH_MATRICES, 12))])
_NONE = np.zeros(1, _MATRICES)
_FLOATS, _BYTES = np.dtype(np.float32), np.dtype(np.uint8)


def most_at_once(bins: int) -> int:
    """Matrices whose histograms fit one launch."""
    return min(max(1, HISTOGRAM_BYTES // (16 * bins**2)), MOST_BLOCKS[1])


def sample_at(work: Workspace, volume: Array, points: Array) -> Array:
    """See `Backend.sample_at`."""
    out = work.empty((len(points),))
    grid = (max(1, block_count(len(points), BLOCK)), 1, 1)
    work.launch("sample_at", grid, points=work.floats(points), volume=work.floats(volume), out=out)
    return out


class PointKernels:
    """Launches of the kernels over sample points of the fixed image, and the moving volume.

    Parameters
    ----------
    work : Workspace
        Where they run.
    points, values, volume, mask
        See `Backend.affine_moments`.
    """

    def __init__(self, work: Workspace, points: Array, values: Array, volume: Array, mask: Array | None) -> None:
        self._work = work
        self._blocks = max(1, min(POINT_BLOCKS, block_count(len(points), BLOCK)))
        floats = {"points": points, "values": values, "volume": volume}
        self._arrays = {n: a if _is(a, _FLOATS) else work.floats(a) for n, a in floats.items()}
        self._arrays["mask"] = mask if mask is None or _is(mask, _BYTES) else work.bytes_of(mask)

    def moments(self, matrix: Matrix) -> Array:
        """The 42 sums (1, 42) of `Backend.affine_moments`, on the device until the next call."""
        passed, _ = self._passed(matrix[None])
        return self._moments(1, launch_matrices=passed, matrices=None, ended=None)

    def moments_at(self, matrices: Array, ended: Array) -> Array:
        """The same (S, 42) under matrices (S, 12) on the device, except those whose `ended` (S,) uint8 is not 0."""
        return self._moments(len(matrices), launch_matrices=_NONE, matrices=matrices, ended=ended)

    def _moments(self, many: int, **given: Any) -> Array:
        out, partial = self._doubles("moments", many, 42), self._doubles("sums", many, 42, self._blocks_each(many))
        self._launch("affine_moments", many=many, out=out, partial=partial, arrived=self._work.arrived(many), **given)
        return out

    def information(self, matrices: NDArray[np.float64], bins: int, *, slopes: bool) -> Array:
        """Rows of `Backend.mutual_information`, on the device until the next call.

        For at most `most_at_once` matrices.
        """
        passed, rows = self._passed(matrices)
        return self._information(len(matrices), bins, slopes, launch_matrices=passed, matrices=rows, ended=None)

    def information_at(self, matrices: Array, bins: int, ended: Array) -> Array:
        """The same (S, 14) under matrices (S, 12) on the device, except those whose `ended` (S,) uint8 is not 0."""
        return self._information(len(matrices), bins, True, launch_matrices=_NONE, matrices=matrices, ended=ended)

    def _information(self, many: int, bins: int, slopes: bool, **given: Any) -> Array:
        cells, out = bins * bins, self._doubles("information", many, 14 if slopes else 2)
        tables = self._doubles("tables", many, cells) if slopes else None
        counts = self._work.scratch(("counts", many, cells), (many, cells), np.uint64)
        given |= {"tables": tables, "out": out, "arrived": self._work.arrived(many)}
        self._launch("joint_histogram", (("BINS", bins),), many=many, counts=counts, **given)
        if slopes:
            partial = self._doubles("derivatives", many, 12, self._blocks_each(many))
            self._launch("histogram_derivative", many=many, bins=bins, partial=partial, **given)
        return out

    def _passed(self, matrices: NDArray[np.float64]) -> tuple[NDArray[Any], Array | None]:
        """The upper rows of matrices (S, 4, 4) as a struct passed with a launch, or uploaded where they are many."""
        passed, upper = np.zeros(1, _MATRICES), matrices[:, :3].reshape(-1, 12)
        if len(matrices) <= LAUNCH_MATRICES:
            passed["m"][0, : len(matrices)] = upper
            return passed, None
        return passed, self._work.retain(self._work.xp.array(np.asarray(upper, np.float64), order="C"))

    def _doubles(self, name: str, *shape: int) -> Array:
        """Scratch that a launch fills before it is read."""
        return self._work.scratch((name, *shape), shape, np.float64)

    def _blocks_each(self, many: int) -> int:
        """Blocks of each of `many` passes over the points in one launch."""
        return max(1, self._blocks // many)

    def _launch(self, name: str, defines: Defines = (), /, *, many: int = 1, **arguments: Any) -> None:
        """Launch a kernel that passes over the points `many` times at once, with as many blocks in all as one pass."""
        grid = (self._blocks_each(many), many, 1)
        self._work.launch(name, grid, defines, **self._arrays, **arguments)


def _is(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether an array is C-contiguous and of a type."""
    return bool(array.dtype == dtype and array.flags.c_contiguous)
