"""The fast CPU backend: parallel, fused, cached loops compiled by numba."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import (
    convergence,
    host_splines,
    numba_affine,
    numba_fields,
    numba_sampling,
    numba_similarity,
    numba_smoothing,
    numpy_points,
)
from warpline.backends.arrays import Array, Matrix
from warpline.backends.descent import Compared, Family, Rules
from warpline.backends.gaussian import gaussian
from warpline.backends.kept import Kept
from warpline.backends.numba_slabs import Scratch, in_slabs
from warpline.backends.splines import Lattice, Spline

Float = NDArray[np.float32]
Sigma = tuple[float, float, float]

FEW_VOXELS = 4096


def create(threads: int, ordinal: str = "") -> NumbaBackend:
    """A backend on `threads` CPU threads; CPUs have no `ordinal`."""
    return NumbaBackend(threads)


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
        if order == 1 and matrix is None and field is not None:
            self._over(out, numba_sampling.linear_through_field, volume, _float(field), beyond[0], out)
            return out
        moved = numba_sampling.NO_FIELD if field is None else _float(field)
        if order == 0:
            bits = [numba_sampling.as_bits(array) for array in (volume, beyond, out)]
            self._over(out, numba_sampling.nearest, bits[0], _matrix(matrix), moved, bits[1][0], bits[2])
            return out
        source = numba_sampling.spline_coefficients(volume) if order == 3 else volume
        self._over(out, numba_sampling.KERNELS[order], source, _matrix(matrix), moved, beyond[0], out)
        return out

    def sample_field(
        self, field: Array, matrix: Matrix, shape: tuple[int, int, int], *, out: Array | None = None
    ) -> Array:
        out = np.empty((3, *shape), np.float32) if out is None else out
        self._over(out[0], numba_sampling.field_linear, _float(field), _matrix(matrix), out)
        return out

    def spline_coefficients(self, array: Array, spline: Spline) -> Array:
        return host_splines.spline_coefficients(array, spline, self.threads)

    def interpolate(self, array: Array, places: Array | Lattice, spline: Spline, *, out: Array) -> Array:
        return host_splines.interpolate(array, places, spline, self.threads, out)

    # -- filters --------------------------------------------------------------------------------------------

    def gradient(self, volume: Array, *, out: Array | None = None) -> Array:
        out = np.empty((3, *volume.shape), np.float32) if out is None else out
        self._over(volume, numba_fields.gradient, _float(volume), out)
        return out

    def smooth(self, array: Array, sigma: Sigma, *, out: Array) -> Array:
        if array.ndim == 5:
            return np.concatenate([self.smooth(one, sigma, out=to) for one, to in zip(array, out, strict=True)])
        array = _float(array)
        stack = (-1, *array.shape[-3:])
        weights = [gaussian(s if n > 1 else 0) for s, n in zip(sigma, stack[1:], strict=True)]
        largest = np.empty(stack[1], np.float32)
        given = array.reshape(stack), *weights, out.reshape(stack), largest
        plane, line = stack[2:], stack[3] + 2 * (len(weights[2]) - 1)
        self._over(given[0][0], numba_smoothing.smooth, *given, scratch=_empty(plane, line, plane))
        return np.sqrt(largest.max(keepdims=True))

    def downsample(self, volume: Array, factors: Sigma, *, out: Array) -> Array:
        shapes = [(-1, *array.shape[-3:]) for array in (volume, out)]
        for one, coarse in zip(_float(volume).reshape(shapes[0]), out.reshape(shapes[1]), strict=True):
            numba_smoothing.downsample(one, factors, coarse, self.threads)
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
        totals, (nj, nk) = np.empty(len(fixed)), fixed.shape[1:]
        given = *images, radius, np.float32(floor), _mask(mask), out_fixed, out_moving, totals
        scratch = _zeros((6, nj, nk), nk + 2 * radius, (9, nk))
        self._over(fixed, numba_similarity.local_cc, *given, scratch=scratch)
        value[0] = -totals.sum() / fixed.size

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
        totals = np.empty(len(fixed))
        given = *images, _mask(mask), out_fixed, out_moving, totals
        self._over(fixed, numba_similarity.squared_difference, *given, scratch=_empty((3, fixed.shape[2])))
        value[0] = totals.sum() / fixed.size

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
        given = _float(outer), _float(inner), np.float32(scale), out
        self._over(out[0], numba_fields.compose, *given, scratch=_empty((3, out.shape[3])))
        return out

    def invert(self, field: Array, *, start: Array, tolerance: float, iterations: int, out: Array) -> Array:
        largest = np.empty(field.shape[1], np.float32)
        given = _float(field), _float(start), np.float32(tolerance), iterations, out, largest
        self._over(field[0], numba_fields.invert, *given)
        return np.sqrt(largest.max(keepdims=True))

    def jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        out = np.empty(field.shape[1:], np.float32) if out is None else out
        self._over(out, numba_fields.jacobian, _float(field), out)
        return out

    def statistics(self, array: Array, share: float, *, mask: Array | None = None, out: Array | None = None) -> Array:
        array = _float(array)
        lengths = np.empty(array.shape[-3:], np.float32)
        self._over(lengths, numba_fields.lengths, array.reshape(-1, *array.shape[-3:]), lengths)
        found = numpy_points.statistics(lengths.ravel() if mask is None else lengths[mask != 0], share)
        return numpy_points.handed_over(found, out)

    def sums(self, volume: Array, *, mask: Array | None = None, out: Array | None = None) -> Array:
        return numpy_points.handed_over(numpy_points.sums(volume, mask), out)

    def extent(self, volume: Array, matrix: Matrix, *, out: Array | None = None) -> Array:
        ends = np.empty((len(volume), 2, 3))
        self._over(volume, numba_fields.extent, _float(volume), _matrix(matrix), ends)
        return numpy_points.handed_over(np.stack([ends[:, 0].min(0), ends[:, 1].max(0)]), out)

    # -- sample points --------------------------------------------------------------------------------------

    def sample_at(self, volume: Array, points: Array) -> Array:
        return np.asarray(numba_affine.sample_at(_float(volume), points, self.threads))

    def affine_moments(
        self, points: Array, values: Array, volume: Array, matrix: Matrix, *, mask: Array | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return numba_affine.affine_moments(numba_affine.Samples(points, values, volume, mask), matrix, self.threads)

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
        samples = numba_affine.Samples(points, values, volume, mask)
        return numba_affine.mutual_information(samples, matrices, bins, slopes, self.threads)

    def descend(
        self, compared: Compared, family: Family, rules: Rules, listen: Callable[[int, float], None]
    ) -> NDArray[np.float64] | None:
        """None: nothing waits here."""

    # -- loops ----------------------------------------------------------------------------------------------

    def repeat(self, step: Callable[[], None], times: int) -> None:
        for _ in range(times):
            step()

    def keep(self, state: Array, energy: Array, *, kept: Array, trace: Array) -> None:
        if convergence.is_best(float(energy[0]), trace):
            kept[...] = state

    def watch(self, energy: Array, *, trace: Array, step: Array, pace: convergence.Pace) -> None:
        convergence.watch(float(energy[0]), trace, step, pace)

    def session(self) -> AbstractContextManager[None]:
        return nullcontext()

    def prepare(self, parts: Collection[str]) -> None:
        from warpline.backends.numba_compile import compile_ahead  # it imports this module

        compile_ahead(parts, self.threads)

    def release(self) -> None:
        return

    def _over(self, volume: Array, kernel: Callable[..., Any], *arguments: Any, scratch: Scratch = tuple) -> None:
        """Run a kernel over the first axis of `volume`; few voxels are done before other threads would wake up."""
        in_slabs(kernel, len(volume), self.threads if volume.size > FEW_VOXELS else 1, *arguments, scratch=scratch)


def _empty(*shapes: int | tuple[int, ...]) -> Scratch:
    """Makes float32 arrays of these shapes for each thread."""
    return lambda: tuple(np.empty(shape, np.float32) for shape in shapes)


def _zeros(*shapes: int | tuple[int, ...]) -> Scratch:
    return lambda: tuple(np.zeros(shape, np.float32) for shape in shapes)


def _float(array: Array) -> Float:
    return np.ascontiguousarray(array, np.float32)


def _mask(mask: Array | None) -> Float:
    return numba_similarity.NO_MASK if mask is None else _float(mask)


def _matrix(matrix: Matrix | None) -> NDArray[np.float64]:
    return np.eye(4) if matrix is None else np.array(matrix, np.float64, order="C")
