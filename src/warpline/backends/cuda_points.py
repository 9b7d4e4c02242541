"""The GPU backend's operations over sample points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends.cuda_launch import MOST_BLOCKS, Defines, as_struct
from warpline.backends.cuda_workspace import BLOCK, Workspace, block_count
from warpline.backends.interface import Array
from warpline.geometry import Matrix

POINT_BLOCKS = 128
"""Most blocks over sample points; a fixed number, so that sums do not depend on the device."""
HISTOGRAM_BYTES = 2**25
"""Most memory of the joint histograms of one launch: 16 bytes per cell, for the count and the table of slopes."""


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
        self._arrays = {name: work.floats(array) for name, array in floats.items()}
        self._arrays["mask"] = None if mask is None else work.bytes_of(mask)

    def moments(self, matrix: Matrix) -> Array:
        """The 42 sums of `Backend.affine_moments`, on the device."""
        out = self._work.empty((42,), np.float64)
        self._launch("affine_moments", matrix=as_struct(matrix), out=out, **self._partial(42))
        return out

    def information(self, matrices: NDArray[np.float64], bins: int, *, slopes: bool) -> Array:
        """Rows of `Backend.mutual_information` for at most so many matrices as `most_at_once` says, on the device."""
        many, cells = len(matrices), bins * bins
        rows = self._work.keep(self._work.xp.array(np.asarray(matrices[:, :3], np.float64).reshape(-1, 12), order="C"))
        out = self._work.empty((many, 14 if slopes else 2), np.float64)
        tables = self._work.empty((many, cells), np.float64) if slopes else None
        counts = self._work.scratch(("counts", many, cells), (many, cells), np.uint64)
        given = {"matrices": rows, "tables": tables, "out": out, "arrived": self._work.arrived(many)}
        self._launch("joint_histogram", (("BINS", bins),), many=many, counts=counts, **given)
        if slopes:
            partial = self._work.empty((many, 12, self._shared_out(many)), np.float64)
            self._launch("histogram_derivative", many=many, bins=bins, partial=partial, **given)
        return out

    def _partial(self, count: int) -> dict[str, Array]:
        partial = self._work.scratch(("sums", count, self._blocks), (count, self._blocks), np.float64)
        return {"partial": partial, "arrived": self._work.arrived()}

    def _shared_out(self, many: int) -> int:
        """Blocks of each of so many passes over the points."""
        return max(1, self._blocks // many)

    def _launch(self, name: str, defines: Defines = (), /, *, many: int = 1, **arguments: Any) -> None:
        """Launch a kernel that passes over the points `many` times at once, with the blocks of one pass shared out."""
        grid = (self._shared_out(many), many, 1)
        self._work.launch(name, grid, defines, **self._arrays, **arguments)
