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
"""Most memory of the joint histograms of one launch: 16 bytes per cell, for the count and the table of slopes."""

FEW = 16
"""Matrices that travel with a launch, which spares an upload; kernels/points.cuh."""

_FEW = np.dtype([("m", np.float64, (FEW, 12))])
_NONE = np.zeros(1, _FEW)
_FLOATS, _BYTES = np.dtype(np.float32), np.dtype(np.uint8)


def most_at_once(bins: int) -> int:
    """Matrices whose histograms one launch makes."""
    return min(max(1, HISTOGRAM_BYTES // (16 * bins**2)), MOST_BLOCKS[1])


def sample_at(work: Workspace, volume: Array, points: Array) -> Array:
    """See `Backend.sample_at`."""
    out = work.empty((len(points),))
    grid = (max(1, block_count(len(points), BLOCK)), 1, 1)
    work.launch("sample_at", grid, points=work.floats(points), volume=work.floats(volume), out=out)
    return out


class Samples:
    """Points and values of the fixed image, and the volume in which they are looked up.

    Parameters
    ----------
    work : Workspace
        Where they are.
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
        few, _ = self._few(matrix[None])
        return self._moments(1, few=few, matrices=None, ended=None)

    def moments_at(self, matrices: Array, ended: Array) -> Array:
        """The same (S, 42) under matrices (S, 12) on the device, but for those whose number (S,) uint8 is not 0."""
        return self._moments(len(matrices), few=_NONE, matrices=matrices, ended=ended)

    def _moments(self, many: int, **given: Any) -> Array:
        out, partial = self._doubles("moments", many, 42), self._doubles("sums", many, 42, self._shared_out(many))
        self._launch("affine_moments", many=many, out=out, partial=partial, arrived=self._work.arrived(many), **given)
        return out

    def information(self, matrices: NDArray[np.float64], bins: int, *, slopes: bool) -> Array:
        """Rows of `Backend.mutual_information` for at most so many matrices as `most_at_once` says.

        They are on the device until the next call.
        """
        few, rows = self._few(matrices)
        return self._information(len(matrices), bins, slopes, few=few, matrices=rows, ended=None)

    def information_at(self, matrices: Array, bins: int, ended: Array) -> Array:
        """The same (S, 14) under matrices (S, 12) on the device, but for those whose number (S,) uint8 is not 0."""
        return self._information(len(matrices), bins, True, few=_NONE, matrices=matrices, ended=ended)

    def _information(self, many: int, bins: int, slopes: bool, **given: Any) -> Array:
        cells, out = bins * bins, self._doubles("information", many, 14 if slopes else 2)
        tables = self._doubles("tables", many, cells) if slopes else None
        counts = self._work.scratch(("counts", many, cells), (many, cells), np.uint64)
        given |= {"tables": tables, "out": out, "arrived": self._work.arrived(many)}
        self._launch("joint_histogram", (("BINS", bins),), many=many, counts=counts, **given)
        if slopes:
            partial = self._doubles("derivatives", many, 12, self._shared_out(many))
            self._launch("histogram_derivative", many=many, bins=bins, partial=partial, **given)
        return out

    def _few(self, matrices: NDArray[np.float64]) -> tuple[NDArray[Any], Array | None]:
        """The upper rows of matrices (S, 4, 4) as what travels with a launch, or on the device where they are many."""
        few, upper = np.zeros(1, _FEW), matrices[:, :3].reshape(-1, 12)
        if len(matrices) <= FEW:
            few["m"][0, : len(matrices)] = upper
            return few, None
        return few, self._work.keep(self._work.xp.array(np.asarray(upper, np.float64), order="C"))

    def _doubles(self, name: str, *shape: int) -> Array:
        """Scratch that a launch fills before anything reads it."""
        return self._work.scratch((name, *shape), shape, np.float64)

    def _shared_out(self, many: int) -> int:
        """Blocks of each of so many passes over the points."""
        return max(1, self._blocks // many)

    def _launch(self, name: str, defines: Defines = (), /, *, many: int = 1, **arguments: Any) -> None:
        """Launch a kernel that passes over the points `many` times at once, with the blocks of one pass shared out."""
        grid = (self._shared_out(many), many, 1)
        self._work.launch(name, grid, defines, **self._arrays, **arguments)


def _is(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether an array is C-contiguous and of a type."""
    return bool(array.dtype == dtype and array.flags.c_contiguous)
