"""The GPU backend: every operation is one launch, or a few, of a kernel in ``kernels/``."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import cuda_descent, cuda_filters, cuda_points, cuda_splines
from warpline.backends.arrays import Array, Matrix
from warpline.backends.convergence import Pace
from warpline.backends.cuda_launch import Runtime, as_struct
from warpline.backends.cuda_workspace import BLOCK, VOXELS, Workspace, block_count, check_countable, voxel_grid
from warpline.backends.descent import Compared, Family, Rules
from warpline.backends.kept import Kept
from warpline.backends.splines import Lattice, Spline

Sigma = tuple[float, float, float]

KEEP_BLOCKS = 4096
"""Most blocks of a copy; more are not resident at once on any GPU."""
SUM_BLOCKS = 512
"""Most blocks of a sum over voxels; a fixed number, so that it does not depend on the device."""
DIGITS, PASSES = 2048, 3
"""Values of a digit of a length's bits, and digits; kernels/norm_digits.cu."""
MARCH = 8
"""Voxels along i of a thread of squared_difference.cu."""
_BITS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}
_REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


def create(threads: int, ordinal: str = "") -> CudaBackend:
    """The backend on GPU number `ordinal`, the current one when it is empty; `threads` is for the CPU and ignored.

    Raises
    ------
    DeviceError
        When CuPy, the driver or the GPU is missing or does not work; it says what to do.
    """
    from warpline.backends.cuda_device import GpuRuntime

    return CudaBackend(GpuRuntime.open(ordinal))


class CudaBackend:
    """Operations of `warpline.backends.interface.Backend`, documented there.

    Parameters
    ----------
    runtime : Runtime
        What the kernels run on.
    """

    name = "cuda"

    def __init__(self, runtime: Runtime) -> None:
        self._work = Workspace(runtime)
        self.kept = Kept()
        self.device = runtime.name

    # -- memory ---------------------------------------------------------------------------------------------

    def upload(self, array: NDArray[Any]) -> Array:
        return self._work.keep(self._work.xp.array(array, order="C"))

    def download(self, array: Array, out: NDArray[Any] | None = None) -> NDArray[Any]:
        return self._work.runtime.to_host(self._work.contiguous(array), out)

    def download_later(self, array: Array) -> Callable[[], NDArray[Any]]:
        return self._work.runtime.to_host_later(array)

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return self._work.keep(self._work.xp.empty(shape, dtype))

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return self._work.keep(self._work.xp.zeros(shape, dtype))

    def session(self) -> AbstractContextManager[None]:
        return self._work.session()

    def prepare(self, parts: Collection[str]) -> None:
        """Kernels are compiled as they are called, in seconds."""

    def release(self) -> None:
        self._work.runtime.release()

    # -- sampling -------------------------------------------------------------------------------------------

    def sample(
        self,
        volume: Array,
        matrix: Matrix | None = None,
        *,
        field: Array | None = None,
        shape: tuple[int, int, int] | None = None,
        order: int = 1,
        outside: float = 0.0,
        out: Array | None = None,
    ) -> Array:
        check_countable(volume.shape[-3:])
        volume = self._work.contiguous(volume) if order == 0 else self._work.floats(volume)
        shape = shape or next(tuple(a.shape[-3:]) for a in (out, field, volume) if a is not None)
        out = self._work.empty((*volume.shape[:-3], *shape), volume.dtype) if out is None else out
        field = None if field is None else self._work.floats(field)
        if order == 1 and matrix is None and field is not None:
            self._warp(volume, field, out, outside)
            return out
        beyond = np.asarray(outside).astype(volume.dtype)
        value, source, target = "float", volume, out
        if order == 0:
            value, width = _BITS[volume.dtype.itemsize], f"u{volume.dtype.itemsize}"
            source, target, beyond = volume.view(width), out.view(width), beyond.view(width)
        elif order == 3:
            source = cuda_filters.spline_coefficients(self._work, volume)
        self._work.over_voxels(
            "sample", shape, (("ORDER", order), ("VALUE", value)),
            volume=source, field=field, matrix=as_struct(matrix), out=target, outside=beyond.item(),
        )  # fmt: skip
        return out

    def _warp(self, volume: Array, field: Array, out: Array, outside: float) -> None:
        arrays = {"volume": volume.reshape(-1, *volume.shape[-3:]), "out": out.reshape(-1, *out.shape[-3:])}
        arrays["field"] = field.reshape(-1, 3, *field.shape[-3:])
        self._work.over_slabs("warp", len(arrays["out"]), out.shape[-3:], **arrays, outside=outside)

    def sample_field(
        self, field: Array, matrix: Matrix, shape: tuple[int, int, int], *, out: Array | None = None
    ) -> Array:
        check_countable(field.shape[1:])
        out = self._work.empty((3, *shape)) if out is None else out
        given = {"field": self._work.floats(field), "matrix": as_struct(matrix)}
        self._work.over_voxels("sample_field", shape, **given, out=out)
        return out

    def spline_coefficients(self, array: Array, spline: Spline) -> Array:
        return cuda_splines.spline_coefficients(self._work, array, spline)

    def interpolate(self, array: Array, places: Array | Lattice, spline: Spline, *, out: Array) -> Array:
        return cuda_splines.interpolate(self._work, array, places, spline, out)

    # -- filters --------------------------------------------------------------------------------------------

    def gradient(self, volume: Array, *, out: Array | None = None) -> Array:
        out = self._work.empty((3, *volume.shape)) if out is None else out
        self._work.over_voxels("gradient", volume.shape, volume=self._work.floats(volume), out=out)
        return out

    def smooth(self, array: Array, sigma: Sigma, *, out: Array) -> Array:
        return cuda_filters.smooth(self._work, array, sigma, out=out)

    def downsample(self, volume: Array, factors: Sigma, *, out: Array) -> Array:
        return cuda_filters.downsample(self._work, volume, factors, out=out)

    # -- similarity -----------------------------------------------------------------------------------------

    def local_cc(
        self,
        fixed: Array,
        moving: Array,
        radius: int,
        *,
        floor: float,
        mask: Array | None,
        out_fixed: Array,
        out_moving: Array,
        value: Array,
    ) -> None:
        defines = (("RADIUS", radius), ("MASKED", int(mask is not None)), ("VALUE", _REALS[value.dtype]))
        arrays = {"fixed": self._work.floats(fixed), "moving": self._work.floats(moving), "mask": self._mask(mask)}
        resident = 2 if radius + (mask is not None) <= 4 else 1  # the launch bounds of local_cc.cu
        rows = 16 if radius <= 2 and mask is None else 8
        grid, length = self._work.marching_grid(fixed.shape, rows, resident)
        self._work.launch(
            "local_cc", grid, defines, VOXELS, **arrays, out_fixed=out_fixed, out_moving=out_moving, value=value,
            **self._work.partial(math.prod(grid)), contrast=floor, length=length,
        )  # fmt: skip

    def squared_difference(
        self,
        fixed: Array,
        moving: Array,
        *,
        mask: Array | None,
        out_fixed: Array,
        out_moving: Array,
        value: Array,
    ) -> None:
        arrays = {"fixed": self._work.floats(fixed), "moving": self._work.floats(moving), "mask": self._mask(mask)}
        across, down, planes = voxel_grid(fixed.shape)
        grid = (across, down, block_count(planes, MARCH))
        self._work.launch(
            "squared_difference", grid, (("VALUE", _REALS[value.dtype]),), VOXELS, **arrays, out_fixed=out_fixed,
            out_moving=out_moving, value=value, **self._work.partial(math.prod(grid)), length=MARCH,
        )  # fmt: skip

    # -- fields ---------------------------------------------------------------------------------------------

    def compose(
        self,
        outer: Array,
        inner: Array,
        *,
        norm: Array | None = None,
        least_norm: float = 1e-12,
        step: float | Array = 1.0,
        out: Array,
    ) -> Array:
        factor, step = (None, step) if isinstance(step, (int, float)) else (step, 1.0)
        fields = {"outer": self._work.floats(outer), "inner": self._work.floats(inner), "out": out}
        fields = {name: field.reshape(-1, 3, *field.shape[-3:]) for name, field in fields.items()}
        self._work.over_slabs(
            "compose", len(fields["out"]), inner.shape[-3:], **fields, norm=norm, factor=factor,
            least_norm=least_norm, step=step,
        )  # fmt: skip
        return out

    def invert(self, field: Array, *, start: Array, tolerance: float, iterations: int, out: Array) -> Array:
        worst = self._work.zero()
        fields = {"field": self._work.floats(field), "start": self._work.floats(start), "out": out}
        self._work.over_voxels(
            "invert", field.shape[1:], **fields, worst=worst, tolerance=tolerance, iterations=iterations
        )
        return worst

    def jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        out = self._work.empty(field.shape[1:]) if out is None else out
        self._work.over_voxels("jacobian", field.shape[1:], field=self._work.floats(field), out=out)
        return out

    def statistics(self, array: Array, share: float, *, mask: Array | None = None, out: Array | None = None) -> Array:
        flat = self._work.floats(array).reshape(array.size // math.prod(array.shape[-3:]), -1)
        mask = None if mask is None else self._work.bytes_of(mask).ravel()
        blocks = max(1, min(SUM_BLOCKS, block_count(flat.shape[1], 4 * BLOCK)))
        counts = self._work.scratch("digits", (DIGITS,), np.uint32)
        found = self._work.empty((4,), np.float64) if out is None else out
        given = {"counts": counts, "found": found, "largest": self._work.zero()}
        given |= {"state": self._work.empty((2,), np.uint64), "arrived": self._work.arrived()}
        given |= {"partial": self._work.empty((2, blocks), np.float64), "mask": mask, "share": share}
        norms = self._work.empty((1, flat.shape[1])) if len(flat) > 1 else None
        for digit in range(PASSES):
            seen, kept = (flat, norms) if digit == 0 or norms is None else (norms, None)
            self._work.launch(
                "norm_digits", (blocks, 1, 1), (("COMPONENTS", len(seen)), ("DIGIT", digit)), array=seen,
                norms=None if kept is None else kept.ravel(), **given,
            )  # fmt: skip
        return self.download(found) if out is None else out

    def sums(self, volume: Array, *, mask: Array | None = None, out: Array | None = None) -> Array:
        values = self._work.floats(volume).ravel()
        mask = None if mask is None else self._work.bytes_of(mask).ravel()
        blocks = max(1, min(SUM_BLOCKS, block_count(values.size, BLOCK)))
        found = self._work.scratch("sums", (3,), np.float64) if out is None else out
        self._work.launch(
            "sums", (blocks, 1, 1), array=values, mask=mask, found=found, arrived=self._work.arrived(),
            partial=self._work.scratch(("sums", blocks), (3, blocks), np.float64),
        )  # fmt: skip
        return self.download(found) if out is None else out

    def extent(self, volume: Array, matrix: Matrix, *, out: Array | None = None) -> Array:
        volume = self._work.floats(volume)
        ni, nj, nk = volume.shape
        blocks = max(1, min(SUM_BLOCKS, block_count(ni * block_count(nj, 32) * block_count(nk, 32), BLOCK // 32)))
        found = self._work.empty((2, 3), np.float64) if out is None else out
        partial = self._work.empty((6, blocks), np.float64)
        self._work.launch(
            "extent", (blocks, 1, 1), volume=volume, matrix=as_struct(matrix), partial=partial,
            arrived=self._work.arrived(), out=found,
        )  # fmt: skip
        return self.download(found) if out is None else out

    # -- sample points --------------------------------------------------------------------------------------

    def sample_at(self, volume: Array, points: Array) -> Array:
        return cuda_points.sample_at(self._work, volume, points)

    def affine_moments(
        self, points: Array, values: Array, volume: Array, matrix: Matrix, *, mask: Array | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        samples = cuda_points.Samples(self._work, points, values, volume, mask)
        sums = self.download(samples.moments(matrix))[0]
        return sums[:6], sums[6:].reshape(3, 3, 4)

    def mutual_information(
        self,
        points: Array,
        values: Array,
        volume: Array,
        matrices: NDArray[np.float64],
        bins: int,
        *,
        slopes: bool = True,
        mask: Array | None = None,
    ) -> NDArray[np.float64]:
        samples = cuda_points.Samples(self._work, points, values, volume, mask)
        most = cuda_points.most_at_once(bins)
        parts = (matrices[first : first + most] for first in range(0, len(matrices), most))
        found = [self.download(samples.information(part, bins, slopes=slopes)) for part in parts]
        return found[0] if len(found) == 1 else np.concatenate([np.empty((0, 14 if slopes else 2)), *found])

    def descend(
        self, compared: Compared, family: Family, rules: Rules, listen: Callable[[int, float], None]
    ) -> NDArray[np.float64] | None:
        return cuda_descent.descend(self._work, compared, family, rules, listen)

    # -- loops ----------------------------------------------------------------------------------------------

    def repeat(self, step: Callable[[], None], times: int) -> None:
        self._work.repeat(step, times)

    def keep(self, state: Array, energy: Array, *, kept: Array, trace: Array) -> None:
        state = self._work.floats(state).ravel()
        blocks = max(1, min(KEEP_BLOCKS, block_count(state.size, BLOCK)))
        self._work.launch("keep", (blocks, 1, 1), state=state, kept=kept.ravel(), energy=energy, trace=trace)

    def watch(self, energy: Array, *, trace: Array, step: Array, pace: Pace) -> None:
        tolerance = -math.inf if pace.tolerance is None else pace.tolerance
        self._work.launch(
            "watch", (1, 1, 1), block=(1, 1, 1), energy=energy, trace=trace, step=step, tolerance=tolerance,
            shorter=pace.shorter, patience=pace.patience, spacing=pace.spacing,
        )  # fmt: skip

    def _mask(self, mask: Array | None) -> Array | None:
        return None if mask is None else self._work.floats(mask)
