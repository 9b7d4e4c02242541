"""The fast CPU backend: parallel, fused loops compiled by numba, with compiled code cached on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import (
    numba_affine,
    numba_fields,
    numba_information,
    numba_jacobian,
    numba_sampling,
    numba_scales,
    numba_similarity,
    numba_smoothing,
    numba_values,
)
from warpline.backends.arrays import Array, Matrix, Shape
from warpline.backends.descriptors import DescriptorOperations
from warpline.backends.gaussian import gaussian
from warpline.backends.host_backend import Doubles, HostBackend, Sigma, rank_statistics, to_out
from warpline.backends.interface import Backend
from warpline.backends.joint_histograms import information_of_volumes
from warpline.backends.motion import MotionOperations
from warpline.backends.numba_compile import compile_ahead
from warpline.backends.numba_descriptors import NumbaDescriptors
from warpline.backends.numba_lanes import VECTOR, whole_vectors
from warpline.backends.numba_motion import NumbaMotion
from warpline.backends.numba_threads import Scratch, in_slabs

Float = NDArray[np.float32]

FEW_VOXELS = 4096
"""Voxels up to which one thread is used: it is done before others would wake up."""


def create(threads: int, ordinal: str = "") -> Backend:
    """A backend on `threads` CPU threads; CPUs have no `ordinal`."""
    return NumbaBackend(threads)


class NumbaBackend(HostBackend):
    """Operations of `warpline.backends.interface.Backend`, documented there."""

    name = "numba"

    @property
    def descriptors(self) -> DescriptorOperations:
        return NumbaDescriptors(self.threads)

    @property
    def motion(self) -> MotionOperations:
        return NumbaMotion(self.smooth, self.threads)

    def prepare(self, parts: Collection[str]) -> None:
        compile_ahead(NumbaBackend, parts, self.threads)

    # -- sampling -------------------------------------------------------------------------------------------

    def _sample(
        self, volume: Array, matrix: Matrix | None, field: Array | None, *, order: int, outside: float, out: Array
    ) -> None:
        volume = np.ascontiguousarray(volume, None if order == 0 else np.float32)
        beyond = np.array([outside]).astype(volume.dtype)
        if order == 1 and matrix is None and field is not None:
            self._over(out, numba_sampling.linear_through_field, volume, _float(field), beyond[0], out)
            return
        moved = numba_sampling.NO_FIELD if field is None else _float(field)
        if order == 0:
            bits = [numba_sampling.as_bits(array) for array in (volume, beyond, out)]
            self._over(out, numba_sampling.nearest, bits[0], _matrix(matrix), moved, bits[1][0], bits[2])
            return
        source = numba_sampling.spline_coefficients(volume) if order == 3 else volume
        self._over(out, numba_sampling.KERNELS[order], source, _matrix(matrix), moved, beyond[0], out)

    def sample_field(self, field: Array, matrix: Matrix, shape: Shape, *, out: Array | None = None) -> Array:
        out = np.empty((3, *shape), np.float32) if out is None else out
        self._over(out[0], numba_sampling.field_linear, _float(field), _matrix(matrix), out)
        return out

    # -- filters --------------------------------------------------------------------------------------------

    def gradient(self, volume: Array, *, out: Array | None = None) -> Array:
        out = np.empty((3, *volume.shape), np.float32) if out is None else out
        self._over(volume, numba_fields.gradient, _float(volume), out)
        return out

    def _smooth(self, array: Array, sigma: Sigma, out: Array, out_norm: Array | None) -> None:
        array = _float(array)
        stack = (-1, *array.shape[-3:])
        weights = [gaussian(s if n > 1 else 0) for s, n in zip(sigma, stack[1:], strict=True)]
        largest = np.empty(stack[1], np.float32)
        given = array.reshape(stack), tuple(weights), out.reshape(stack), largest
        whole = whole_vectors(stack[3])
        ring, line = (1 << (2 * len(weights[1]) - 2).bit_length(), whole), whole + 2 * (len(weights[2]) - 1)
        scratch = _allocate(ring, line, VECTOR, integers=(4, max(map(len, weights[:2]))))
        self._over(given[0][0], numba_smoothing.smooth, *given, scratch=scratch)
        if out_norm is not None:
            out_norm[0] = max(out_norm[0], np.sqrt(largest.max()))

    def _halve(self, field: Array, out: Array) -> None:
        self._over(out[0], numba_scales.halve, _float(field), out)

    def _add_doubled(self, coarse: Array, weight: float, out: Array, out_norm: Array | None) -> None:
        largest = np.empty(out.shape[1], np.float32)
        given = _float(coarse), np.float32(weight), out, largest
        self._over(out[0], numba_scales.add_doubled, *given, scratch=_allocate(coarse.shape[3] + 2))
        if out_norm is not None:
            out_norm[0] = max(out_norm[0], np.sqrt(largest.max()))

    def _downsample(self, volume: Array, factors: Sigma, out: Array) -> None:
        numba_smoothing.downsample(_float(volume), factors, out, self.threads)

    def map_values(self, volume: Array, curve: Array, span: tuple[float, float], *, out: Array | None = None) -> Array:
        out = np.empty(volume.shape, np.float32) if out is None else out
        low, scale = np.float32(span[0]), np.float32((len(curve) - 1) / (span[1] - span[0]))
        self._over(out, numba_values.map_values, _float(volume), _float(curve), low, scale, out)
        return out

    def add_weighted(self, array: Array, weight: Array, *, out: Array, start: bool = False) -> Array:
        rows = (-1, array.shape[-1])
        given = _float(array).reshape(rows), np.float32(weight[0]), start, out.reshape(rows)
        self._over(given[0], numba_values.add_weighted, *given)
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
        images = _float(fixed), _float(moving)
        totals, nk = np.empty(len(fixed)), fixed.shape[2]
        given = *images, radius, np.float32(contrast_floor), _mask(mask), out_fixed, out_moving, totals
        whole, ring = whole_vectors(nk), 1 << (2 * radius).bit_length()
        scratch = _allocate((6, ring, whole), (6, whole + 2 * radius), (6, whole + 2), doubles=VECTOR)
        self._over(fixed, numba_similarity.local_cc, *given, scratch=scratch)
        value[0] = -totals.sum() / fixed.size

    def squared_difference(
        self, fixed: Array, moving: Array, *, mask: Array | None, out_fixed: Array, out_moving: Array, value: Array
    ) -> None:
        images = _float(fixed), _float(moving)
        totals = np.empty(len(fixed))
        given = *images, _mask(mask), out_fixed, out_moving, totals
        scratch = _allocate((6, whole_vectors(fixed.shape[2]) + 2), doubles=VECTOR)
        self._over(fixed, numba_similarity.squared_difference, *given, scratch=scratch)
        value[0] = totals.sum() / fixed.size

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
        images = _float(fixed), _float(moving), _mask(mask)
        limits = np.array([*span, (bins - 3) / (span[1] - span[0])], np.float32)
        counts = np.empty((len(fixed), bins, bins), np.int64)
        self._over(fixed, numba_information.joint_counts, *images, limits[0], limits[2], counts)
        value[0], table = information_of_volumes(counts.sum(axis=0))
        given = *images, table.astype(np.float32), limits, out_fixed, out_moving
        scratch = _allocate((4, whole_vectors(fixed.shape[2]) + 2))
        self._over(fixed, numba_information.table_forces, *given, scratch=scratch)

    # -- fields ---------------------------------------------------------------------------------------------

    def _compose(self, outer: Array, inner: Array, scale: float, out: Array) -> None:
        given = _float(outer), _float(inner), np.float32(scale), out
        self._over(out[0], numba_fields.compose, *given, scratch=_allocate((3, out.shape[3])))

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
        out, largest = np.empty(field.shape, np.float32) if out is None else out, np.empty(field.shape[1], np.float32)
        given = _float(field), _float(start), np.float32(tolerance), iterations, out, largest
        self._over(field[0], numba_fields.invert, *given)
        if out_residual is not None:
            out_residual[0] = np.sqrt(largest.max())
        return out

    def jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        out = np.empty(field.shape[1:], np.float32) if out is None else out
        self._over(out, numba_fields.jacobian, _float(field), out)
        return out

    def least_jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        out = np.empty(field.shape[1:], np.float32) if out is None else out
        self._over(out, numba_jacobian.least_jacobian, _float(field), out)
        return out

    def unfold(self, field: Array, *, limit: float, target: float, sweeps: int, least: Array | None = None) -> None:
        least = self.least_jacobian(field) if least is None else least
        low, bounds = np.flatnonzero(least <= np.float32(limit)), np.array([limit, target], np.float32)
        if len(low):
            numba_jacobian.unfold(field, low, bounds, sweeps, np.zeros(least.size, np.bool_))

    def statistics(
        self, array: Array, quantile: float, *, mask: Array | None = None, out: Array | None = None
    ) -> Array:
        array = _float(array)
        lengths = np.empty(array.shape[-3:], np.float32)
        self._over(lengths, numba_fields.lengths, array.reshape(-1, *array.shape[-3:]), lengths)
        return to_out(rank_statistics(lengths.ravel() if mask is None else lengths[mask != 0], quantile), out)

    def extent(self, volume: Array, matrix: Matrix, *, out: Array | None = None) -> Array:
        ends = np.empty((len(volume), 2, 3))
        self._over(volume, numba_fields.extent, _float(volume), _matrix(matrix), ends)
        return to_out(np.stack([ends[:, 0].min(0), ends[:, 1].max(0)]), out)

    # -- sample points --------------------------------------------------------------------------------------

    def sample_at(self, volume: Array, points: Array) -> Array:
        return np.asarray(numba_affine.sample_at(_float(volume), points, self.threads))

    def affine_moments(
        self, points: Array, values: Array, volume: Array, matrix: Matrix, *, mask: Array | None = None
    ) -> tuple[Doubles, Doubles]:
        return numba_affine.affine_moments(numba_affine.PointArrays(points, values, volume, mask), matrix, self.threads)

    def mutual_information(
        self,
        points: Array,
        values: Array,
        volume: Array,
        matrices: Doubles,
        bins: int,
        *,
        slopes: bool = True,
        mask: Array | None = None,
    ) -> Doubles:
        arrays = numba_affine.PointArrays(points, values, volume, mask)
        return numba_affine.mutual_information(arrays, matrices, bins, slopes, self.threads)

    def _over(self, volume: Array, kernel: Callable[..., Any], *arguments: Any, scratch: Scratch = tuple) -> None:
        """Run a kernel over slabs of the first axis of `volume`."""
        in_slabs(kernel, len(volume), self.threads if volume.size > FEW_VOXELS else 1, *arguments, scratch=scratch)


def _allocate(*shapes: int | tuple[int, ...], integers: Any = None, doubles: Any = None) -> Scratch:
    """Makes zeros for each thread: an array of integers of a shape, arrays of floats, an array of doubles."""
    kinds = [(integers, np.int64), *((shape, np.float32) for shape in shapes), (doubles, np.float64)]
    return lambda: tuple(np.zeros(shape, kind) for shape, kind in kinds if shape is not None)


def _float(array: Array) -> Float:
    return np.ascontiguousarray(array, np.float32)


def _mask(mask: Array | None) -> Float:
    return numba_similarity.NO_MASK if mask is None else _float(mask)


def _matrix(matrix: Matrix | None) -> Doubles:
    return np.eye(4) if matrix is None else np.array(matrix, np.float64, order="C")
