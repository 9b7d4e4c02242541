"""The fast CPU backend: parallel, fused, cached loops compiled by numba."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from warpline.backends import (
    convergence,
    numba_affine,
    numba_fields,
    numba_sampling,
    numba_similarity,
    numba_smoothing,
    numpy_points,
)
from warpline.backends.gaussian import gaussian
from warpline.backends.interface import Array
from warpline.backends.kept import Kept
from warpline.geometry import Matrix

Float = NDArray[np.float32]
Sigma = tuple[float, float, float]


def create(threads: int, ordinal: str = "") -> NumbaBackend:
    """A backend on `threads` CPU threads, at most as many as numba was started with; CPUs have no `ordinal`."""
    # OpenMP threads that spin while they wait slow a busy machine many times over; read when its pool starts.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return NumbaBackend(min(threads, numba.config.NUMBA_NUM_THREADS))


class NumbaBackend:
    """Operations of `warpline.backends.interface.Backend`, documented there."""

    name = "numba"

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.kept = Kept()
        self.device = f"CPU, {threads} thread{'s' if threads > 1 else ''}"

    # -- memory ---------------------------------------------------------------------------------------------

    def upload(self, array: NDArray[Any]) -> Array:
        # a read-only array would be another type to numba, and compile every kernel again
        return np.require(array, requirements=("C", "W"))

    def download(self, array: Array, out: NDArray[Any] | None = None) -> NDArray[Any]:
        if out is None:
            return np.asarray(array)
        out[...] = array
        return out

    def download_later(self, array: Array) -> Callable[[], NDArray[Any]]:
        copied = np.array(array)
        return lambda: copied

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return np.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return np.zeros(shape, dtype)

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
        if field is not None and field.ndim == 5:
            out = np.empty((len(field), *field.shape[2:]), np.float32) if out is None else out
            for one, moved, to in zip(volume, field, out, strict=True):
                self.sample(one, matrix, field=moved, order=order, outside=outside, out=to)
            return out
        volume = np.ascontiguousarray(volume, None if order == 0 else np.float32)
        if out is None:
            out = np.empty(shape or (volume.shape if field is None else field.shape[1:]), volume.dtype)
        beyond = np.array([outside]).astype(volume.dtype)
        self._claim_threads()
        if order == 1 and matrix is None and field is not None:
            numba_sampling.linear_through_field(volume, _float(field), beyond[0], out)
            return out
        moved = numba_sampling.NO_FIELD if field is None else _float(field)
        if order == 0:
            bits = [numba_sampling.as_bits(array) for array in (volume, beyond, out)]
            numba_sampling.nearest(bits[0], _matrix(matrix), moved, bits[1][0], bits[2])
            return out
        source = numba_sampling.spline_coefficients(volume) if order == 3 else volume
        numba_sampling.KERNELS[order](source, _matrix(matrix), moved, beyond[0], out)
        return out

    def sample_field(
        self, field: Array, matrix: Matrix, shape: tuple[int, int, int], *, out: Array | None = None
    ) -> Array:
        out = np.empty((3, *shape), np.float32) if out is None else out
        self._claim_threads()
        numba_sampling.field_linear(_float(field), _matrix(matrix), out)
        return out

    # -- filters --------------------------------------------------------------------------------------------

    def gradient(self, volume: Array, *, out: Array | None = None) -> Array:
        out = np.empty((3, *volume.shape), np.float32) if out is None else out
        self._claim_threads()
        numba_fields.gradient(_float(volume), out)
        return out

    def smooth(self, array: Array, sigma: Sigma, *, out: Array) -> Array:
        if array.ndim == 5:
            return np.concatenate([self.smooth(one, sigma, out=to) for one, to in zip(array, out, strict=True)])
        array = _float(array)
        stack = (-1, *array.shape[-3:])
        weights = [gaussian(s if n > 1 else 0) for s, n in zip(sigma, stack[1:], strict=True)]
        self._claim_threads()
        norm = numba_smoothing.smooth(array.reshape(stack), *weights, out.reshape(stack))
        return np.array([norm], np.float32)

    def downsample(self, volume: Array, factors: Sigma, *, out: Array) -> Array:
        self._claim_threads()
        numba_smoothing.downsample(_float(volume), factors, out)
        return out

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
        images = _float(fixed), _float(moving)
        self._claim_threads()
        value[0] = numba_similarity.local_cc(*images, radius, np.float32(floor), _mask(mask), out_fixed, out_moving)

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
        images = _float(fixed), _float(moving)
        self._claim_threads()
        value[0] = numba_similarity.squared_difference(*images, _mask(mask), out_fixed, out_moving)

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
        if outer.ndim == 5:
            for side, (one, moved, to) in enumerate(zip(outer, inner, out, strict=True)):
                longest = None if norm is None else norm[side : side + 1]
                self.compose(one, moved, norm=longest, least_norm=least_norm, step=step, out=to)
            return out
        length = float(np.asarray(step).item())
        scale = length if norm is None else length / max(float(norm[0]), least_norm)
        self._claim_threads()
        numba_fields.compose(_float(outer), _float(inner), np.float32(scale), out)
        return out

    def invert(self, field: Array, *, start: Array, tolerance: float, iterations: int, out: Array) -> Array:
        self._claim_threads()
        worst = numba_fields.invert(_float(field), _float(start), np.float32(tolerance), iterations, out)
        return np.array([worst], np.float32)

    def jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        out = np.empty(field.shape[1:], np.float32) if out is None else out
        self._claim_threads()
        numba_fields.jacobian(_float(field), out)
        return out

    def statistics(self, array: Array, share: float, *, mask: Array | None = None) -> NDArray[np.float64]:
        array = _float(array)
        self._claim_threads()
        lengths = numba_fields.lengths(array.reshape(-1, *array.shape[-3:]))
        return numpy_points.statistics(lengths.ravel() if mask is None else lengths[mask != 0], share)

    def sums(self, volume: Array, *, mask: Array | None = None) -> NDArray[np.float64]:
        return numpy_points.sums(volume, mask)

    def extent(self, volume: Array, matrix: Matrix) -> NDArray[np.float64]:
        self._claim_threads()
        return np.asarray(numba_fields.extent(_float(volume), _matrix(matrix)))

    # -- sample points --------------------------------------------------------------------------------------

    def sample_at(self, volume: Array, points: Array) -> Array:
        self._claim_threads()
        return np.asarray(numba_affine.sample_at(_float(volume), points))

    def affine_moments(
        self, points: Array, values: Array, volume: Array, matrix: Matrix, *, mask: Array | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        self._claim_threads()
        return numba_affine.affine_moments(points, values, volume, matrix, mask)

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
        self._claim_threads()
        samples = numba_affine.Samples(points, values, volume, mask)
        return numba_affine.mutual_information(samples, matrices, bins, slopes)

    # -- loops ----------------------------------------------------------------------------------------------

    def repeat(self, step: Callable[[], None], times: int) -> None:
        for _ in range(times):
            step()

    def keep(self, state: Array, *, kept: Array, trace: Array) -> None:
        kept[1 - int(trace[convergence.BEST])] = state

    def watch(self, energy: Array, *, trace: Array, step: Array, pace: convergence.Pace) -> None:
        convergence.watch(float(energy[0]), trace, step, pace)

    def session(self) -> AbstractContextManager[None]:
        return nullcontext()

    def release(self) -> None:
        return

    def _claim_threads(self) -> None:
        """The number of threads belongs to the calling Python thread in numba, so it is set at each call."""
        numba.set_num_threads(self.threads)


def _float(array: Array) -> Float:
    return np.ascontiguousarray(array, np.float32)


def _mask(mask: Array | None) -> Float:
    return numba_similarity.NO_MASK if mask is None else _float(mask)


def _matrix(matrix: Matrix | None) -> NDArray[np.float64]:
    return np.eye(4) if matrix is None else np.array(matrix, np.float64, order="C")
