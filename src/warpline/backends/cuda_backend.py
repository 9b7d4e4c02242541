"""The GPU backend: every operation is one launch, or a few, of a kernel in ``kernels/``."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import (
    cuda_bfgs,
    cuda_compile,
    cuda_filters,
    cuda_information,
    cuda_points,
    cuda_splines,
    cuda_unfolding,
    cuda_values,
)
from warpline.backends.affine_problem import AffineFamily, BfgsOptions, MetricInputs
from warpline.backends.arrays import Array, Matrix, Shape, halved
from warpline.backends.convergence import ConvergenceRule
from warpline.backends.cuda_descriptors import CudaDescriptors
from warpline.backends.cuda_launch import Runtime, as_struct
from warpline.backends.cuda_motion import CudaMotion
from warpline.backends.cuda_workspace import BLOCK, REALS, VOXELS, Workspace, block_count, check_countable, voxel_grid
from warpline.backends.descriptors import DescriptorOperations
from warpline.backends.image_cache import ImageCache
from warpline.backends.interface import Backend
from warpline.backends.motion import MotionOperations
from warpline.backends.splines import AffineCoordinates, SplineOptions

Sigma = tuple[float, float, float]

COPY_BLOCKS = 4096
"""Most blocks of a grid-stride copy; more are not resident at once on any GPU."""
SUM_BLOCKS = 512
"""Most blocks of a sum over voxels; a fixed number, so that it does not depend on the device."""
QUANTILE_BINS, QUANTILE_PASSES = 2048, 3
"""Bins of a radix-select pass over the bits of norms, and passes; kernels/norm_quantile.cu."""
MARCH = 8
"""Voxels along i per thread of squared_difference.cu and value_forces.cu."""
_BITS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}


def create(threads: int, ordinal: str = "") -> Backend:
    """The backend on GPU number `ordinal`, the current one when it is empty; `threads` of the CPU compile kernels.

    Raises
    ------
    DeviceError
        When CuPy, the driver or the GPU is missing or does not work; it says what to do.
    """
    from warpline.backends.cuda_device import GpuRuntime

    return CudaBackend(GpuRuntime.open(ordinal), threads)


class CudaBackend:
    """Operations of `warpline.backends.interface.Backend`, documented there.

    Parameters
    ----------
    runtime : Runtime
        What the kernels run on.
    threads : int
        Threads of the CPU that compile them.
    """

    name, on_host = "cuda", False

    def __init__(self, runtime: Runtime, threads: int = 1) -> None:
        self._work, self._threads = Workspace(runtime), threads
        self._prepared, self._preparing = set[str](), Lock()
        self.cache = ImageCache()
        self.device, self.ordinal = runtime.name, runtime.ordinal
        self.descriptors: DescriptorOperations = CudaDescriptors(self._work)
        self.motion: MotionOperations = CudaMotion(self._work)

    # -- memory ---------------------------------------------------------------------------------------------

    def upload(self, array: NDArray[Any]) -> Array:
        return self._work.retain(self._work.xp.array(array, order="C"))

    def download(self, array: Array, out: NDArray[Any] | None = None) -> NDArray[Any]:
        return self._work.runtime.to_host(self._work.contiguous(array), out)

    def download_later(self, array: Array) -> Callable[[], NDArray[Any]]:
        return self._work.runtime.to_host_later(array)

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return self._work.retain(self._work.xp.empty(shape, dtype))

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return self._work.retain(self._work.xp.zeros(shape, dtype))

    def session(self) -> AbstractContextManager[None]:
        return self._work.session()

    def prepare(self, parts: Collection[str]) -> None:
        with self._preparing:
            missing = sorted(set(parts) - self._prepared)
            if missing:
                cuda_compile.compile_ahead(self._work, missing, self._threads)
                self._prepared.update(missing)

    def release(self) -> None:
        self._work.runtime.release()

    # -- sampling -------------------------------------------------------------------------------------------

    def sample(
        self,
        volume: Array,
        matrix: Matrix | None = None,
        *,
        field: Array | None = None,
        shape: Shape | None = None,
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

    def sample_field(self, field: Array, matrix: Matrix, shape: Shape, *, out: Array | None = None) -> Array:
        check_countable(field.shape[1:])
        out = self._work.empty((3, *shape)) if out is None else out
        given = {"field": self._work.floats(field), "matrix": as_struct(matrix)}
        self._work.over_voxels("sample_field", shape, **given, out=out)
        return out

    def spline_coefficients(self, array: Array, spline: SplineOptions) -> Array:
        return cuda_splines.spline_coefficients(self._work, array, spline)

    def interpolate(
        self, array: Array, coordinates: Array | AffineCoordinates, spline: SplineOptions, *, out: Array
    ) -> Array:
        return cuda_splines.interpolate(self._work, array, coordinates, spline, out)

    # -- filters --------------------------------------------------------------------------------------------

    def gradient(self, volume: Array, *, out: Array | None = None) -> Array:
        out = self._work.empty((3, *volume.shape)) if out is None else out
        self._work.over_voxels("gradient", volume.shape, volume=self._work.floats(volume), out=out)
        return out

    def smooth(self, array: Array, sigma: Sigma, *, out: Array | None = None, out_norm: Array | None = None) -> Array:
        out = self._work.empty(array.shape) if out is None else out
        return cuda_filters.smooth(self._work, array, sigma, out=out, out_norm=out_norm)

    def downsample(self, volume: Array, factors: Sigma, *, out: Array) -> Array:
        return cuda_filters.downsample(self._work, volume, factors, out=out)

    def halve(self, fields: Array, *, out: Array | None = None) -> Array:
        out = self._work.empty(halved(fields.shape)) if out is None else out
        return cuda_filters.halve(self._work, fields, out=out)

    def add_doubled(self, coarse: Array, weight: float, *, out: Array, out_norm: Array | None = None) -> Array:
        return cuda_filters.add_doubled(self._work, coarse, weight, out=out, out_norm=out_norm)

    def map_values(self, volume: Array, curve: Array, span: tuple[float, float], *, out: Array | None = None) -> Array:
        out = self._work.empty(volume.shape) if out is None else out
        cuda_values.map_values(self._work, volume, curve, span, out=out)
        return out

    def add_weighted(self, array: Array, weight: Array, *, out: Array, start: bool = False) -> Array:
        cuda_values.add_weighted(self._work, array, weight, out=out, start=start)
        return out

    # -- similarity -----------------------------------------------------------------------------------------

    def local_cc(
        self,
        fixed: Array,
        moving: Array,
        radius: int,
        *,
        contrast_floor: float,
        mask: Array | None,
        out_fixed: Array,
        out_moving: Array,
        value: Array,
    ) -> None:
        defines = (("RADIUS", radius), ("MASKED", int(mask is not None)), ("VALUE", REALS[value.dtype]))
        arrays = {"fixed": self._work.floats(fixed), "moving": self._work.floats(moving), "mask": self._mask(mask)}
        resident = 2 if radius + (mask is not None) <= 4 else 1  # the launch bounds of local_cc.cu
        rows = 16 if radius <= 2 and mask is None else 8
        grid, length = self._work.marching_grid(fixed.shape, rows, resident)
        self._work.launch(
            "local_cc", grid, defines, VOXELS, **arrays, out_fixed=out_fixed, out_moving=out_moving, value=value,
            **self._work.partial(math.prod(grid)), contrast_floor=contrast_floor, length=length,
        )  # fmt: skip

    def squared_difference(
        self, fixed: Array, moving: Array, *, mask: Array | None, out_fixed: Array, out_moving: Array, value: Array
    ) -> None:
        arrays = {"fixed": self._work.floats(fixed), "moving": self._work.floats(moving), "mask": self._mask(mask)}
        across, down, planes = voxel_grid(fixed.shape)
        grid = (across, down, block_count(planes, MARCH))
        self._work.launch(
            "squared_difference", grid, (("VALUE", REALS[value.dtype]),), VOXELS, **arrays, out_fixed=out_fixed,
            out_moving=out_moving, value=value, **self._work.partial(math.prod(grid)), length=MARCH,
        )  # fmt: skip

    def mutual_information_forces(
        self,
        fixed: Array,
        moving: Array,
        bins: int,
        *,
        span: tuple[float, float],
        mask: Array | None,
        out_fixed: Array,
        out_moving: Array,
        value: Array,
    ) -> None:
        arrays = {"fixed": self._work.floats(fixed), "moving": self._work.floats(moving), "mask": self._mask(mask)}
        table = cuda_information.information_table(self._work, arrays, bins, span, value)
        across, down, planes = voxel_grid(fixed.shape)
        self._work.launch(
            "value_forces", (across, down, block_count(planes, MARCH)), (("BINS", bins),), VOXELS, **arrays,
            **cuda_information.bins_of(span, bins), table=table, out_fixed=out_fixed, out_moving=out_moving,
            length=MARCH,
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

    def invert(
        self,
        field: Array,
        *,
        start: Array,
        tolerance: float,
        iterations: int,
        out: Array | None = None,
        out_residual: Array | None = None,
    ) -> Array:
        out = self._work.empty(field.shape) if out is None else out
        self._work.over_voxels(
            "invert", field.shape[1:], field=self._work.floats(field), start=self._work.floats(start), out=out,
            largest_residual=self._work.zeroed(out_residual), tolerance=tolerance, iterations=iterations,
        )  # fmt: skip
        return out

    def jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        out = self._work.empty(field.shape[1:]) if out is None else out
        self._work.over_voxels("jacobian", field.shape[1:], field=self._work.floats(field), out=out)
        return out

    def least_jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        out = self._work.empty(field.shape[1:]) if out is None else out
        self._work.over_voxels("least_jacobian", field.shape[1:], field=self._work.floats(field), out=out)
        return out

    def unfold(self, field: Array, *, limit: float, target: float, sweeps: int, least: Array | None = None) -> None:
        least = self.least_jacobian(field) if least is None else least
        cuda_unfolding.Sweeps(self._work, field, least, limit=limit, target=target).run(sweeps)

    def statistics(
        self, array: Array, quantile: float, *, mask: Array | None = None, out: Array | None = None
    ) -> Array:
        flat = self._work.floats(array).reshape(array.size // math.prod(array.shape[-3:]), -1)
        mask = None if mask is None else self._work.bytes_of(mask).ravel()
        blocks = max(1, min(SUM_BLOCKS, block_count(flat.shape[1], 4 * BLOCK)))
        found = self._work.empty((4,), np.float64) if out is None else out
        given = {"counts": self._work.scratch("bins", (QUANTILE_BINS,), np.uint32), "largest": self._work.zeroed()}
        given |= {"state": self._work.empty((2,), np.uint64), "arrived": self._work.arrived(), "out": found}
        given |= {"partial": self._work.empty((2, blocks), np.float64), "mask": mask, "quantile": quantile}
        norms = self._work.empty((1, flat.shape[1])) if len(flat) > 1 else None
        for digit in range(QUANTILE_PASSES):
            seen, stored = (flat, norms) if digit == 0 or norms is None else (norms, None)
            self._work.launch(
                "norm_quantile", (blocks, 1, 1), (("COMPONENTS", len(seen)), ("DIGIT", digit)), array=seen,
                norms=None if stored is None else stored.ravel(), **given,
            )  # fmt: skip
        return self.download(found) if out is None else out

    def sums(self, volume: Array, *, mask: Array | None = None, out: Array | None = None) -> Array:
        values = self._work.floats(volume).ravel()
        mask = None if mask is None else self._work.bytes_of(mask).ravel()
        blocks = max(1, min(SUM_BLOCKS, block_count(values.size, BLOCK)))
        found = self._work.scratch("sums", (3,), np.float64) if out is None else out
        self._work.launch(
            "sums", (blocks, 1, 1), array=values, mask=mask, out=found, arrived=self._work.arrived(),
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
        kernels = cuda_points.PointKernels(self._work, points, values, volume, mask)
        sums = self.download(kernels.moments(matrix))[0]
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
        kernels = cuda_points.PointKernels(self._work, points, values, volume, mask)
        most = cuda_points.most_at_once(bins)
        parts = (matrices[first : first + most] for first in range(0, len(matrices), most))
        found = [self.download(kernels.information(part, bins, slopes=slopes)) for part in parts]
        return found[0] if len(found) == 1 else np.concatenate([np.empty((0, 14 if slopes else 2)), *found])

    def minimise_affine(
        self, inputs: MetricInputs, family: AffineFamily, options: BfgsOptions, on_step: Callable[[int, float], None]
    ) -> NDArray[np.float64] | None:
        return cuda_bfgs.minimise(self._work, inputs, family, options, on_step)

    # -- loops ----------------------------------------------------------------------------------------------

    def repeat(self, step: Callable[[], None], times: int) -> None:
        self._work.repeat(step, times)

    def keep_best_state(self, state: Array, energy: Array, *, best: Array, trace: Array) -> None:
        state = self._work.floats(state).ravel()
        blocks = max(1, min(COPY_BLOCKS, block_count(state.size, BLOCK)))
        self._work.launch("keep_best_state", (blocks, 1, 1), state=state, best=best.ravel(), energy=energy, trace=trace)

    def update_convergence(self, energy: Array, *, trace: Array, step: Array, rule: ConvergenceRule) -> None:
        tolerance = -math.inf if rule.tolerance is None else rule.tolerance
        self._work.launch(
            "update_convergence", (1, 1, 1), block=(1, 1, 1), energy=energy, trace=trace, step=step,
            tolerance=tolerance, shrink=rule.shrink, patience=rule.patience, spacing=rule.spacing,
        )  # fmt: skip

    def _mask(self, mask: Array | None) -> Array | None:
        return None if mask is None else self._work.floats(mask)
