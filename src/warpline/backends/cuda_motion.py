"""Fits of series on the GPU, all of them in one launch; see `warpline.backends.motion.MotionOperations`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import cuda_filters, cuda_splines
from warpline.backends.arrays import Array
from warpline.backends.cuda_workspace import BLOCK, Workspace, block_count
from warpline.backends.motion import CUBIC, Doubles, Placement

FIT_BLOCKS = 16
"""Most blocks over the points of a fit; a fixed number, so that sums do not depend on the device."""

_BOUNDS = np.dtype([("low", np.float64, (3,)), ("high", np.float64, (3,))])


class CudaMotion:
    """Operations of `MotionOperations`, documented there.

    Parameters
    ----------
    work : Workspace
        Where they run.
    """

    def __init__(self, work: Workspace) -> None:
        self._work = work

    def coefficients(self, volumes: Array, sigma: tuple[float, float, float]) -> Array:
        smooth = self._work.empty(volumes.shape)
        stack = self._work.floats(volumes)[:, None]
        cuda_filters.smooth(self._work, stack, sigma, out=smooth[:, None], out_norm=None)
        return cuda_splines.spline_coefficients(self._work, smooth, CUBIC, first_axis=1)

    def sums(
        self,
        coefficients: Array,
        points: Array,
        rows: Array,
        placement: Placement,
        *,
        weights: Array | None = None,
        values: Array,
    ) -> Doubles:
        many, count = len(values), rows.shape[1]
        bounds = np.array([tuple(placement.bounds.T)], _BOUNDS)
        return self._summed(
            "motion_sums", (("ROWS", count),), (many, count + 3), coefficients=coefficients, points=points, rows=rows,
            matrices=self._up(placement.upper_rows), which=self._up(placement.volumes.astype(np.int32)),
            bounds=bounds, weights=weights, values=values,
        )  # fmt: skip

    def gram(self, rows: Array, values: Array, *, weights: Array | None = None) -> Doubles:
        many, count = len(values), rows.shape[1]
        lower, column = np.tril_indices(count)
        pairs = self._summed(
            "motion_gram", (("ROWS", count),), (many, len(lower)), rows=rows, values=values, weights=weights
        )
        out = np.empty((many, count, count))
        out[:, lower, column] = out[:, column, lower] = pairs
        return out

    def _summed(self, name: str, defines: Any, shape: tuple[int, int], **arguments: Any) -> Doubles:
        """The sums of a kernel whose blocks along y are fits."""
        many, sums = shape
        blocks = max(1, min(FIT_BLOCKS, block_count(len(arguments["rows"]), BLOCK)))
        out, partial = self._work.empty(shape, np.float64), self._work.empty((many, sums, blocks), np.float64)
        given = {"out": out, "partial": partial, "arrived": self._work.arrived(many)}
        self._work.launch(name, (blocks, many, 1), defines, **arguments, **given)
        return self._work.runtime.to_host(out)

    def residuals(self, values: Array, rows: Array, solutions: Doubles) -> NDArray[np.float32]:
        out = self._work.empty(values.shape)
        grid = block_count(len(rows), BLOCK), len(values), 1
        self._work.launch("motion_residuals", grid, values=values, rows=rows, solutions=self._up(solutions), out=out)
        return self._work.runtime.to_host(out)

    def _up(self, array: NDArray[Any]) -> Array:
        return self._work.retain(self._work.xp.array(array, order="C"))
