"""The specification: every operation in plain NumPy and SciPy, float64 inside, float32 out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, map_coordinates

from warpline.backends import convergence, host_splines, numpy_points
from warpline.backends.arrays import Array, Matrix
from warpline.backends.descent import Compared, Family, Rules
from warpline.backends.information import information
from warpline.backends.kept import Kept
from warpline.backends.splines import Lattice, Spline

Doubles = NDArray[np.float64]
Box = tuple[int, int, int]

_UNDAMPED_STEPS = 8
_DAMPING = 0.4


def create(threads: int, ordinal: str = "") -> NumpyBackend:
    """The backend; `threads` is ignored, NumPy runs on one, and there is no device to choose by `ordinal`."""
    return NumpyBackend()


class NumpyBackend:
    """Operations of `warpline.backends.interface.Backend`, see there."""

    name = "numpy"
    device = "CPU, 1 thread"

    def __init__(self) -> None:
        self.kept = Kept()

    def upload(self, array: NDArray[Any]) -> Array:
        """The array itself where it is C-contiguous, else a copy."""
        return np.ascontiguousarray(array)

    def download(self, array: Array, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The array itself, or a copy in `out`."""
        if out is None:
            return np.asarray(array)
        out[...] = array
        return out

    def download_later(self, array: Array) -> Callable[[], NDArray[Any]]:
        """A copy, at once."""
        copied = np.array(array)
        return lambda: copied

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An uninitialised array."""
        return np.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An array of zeros."""
        return np.zeros(shape, dtype)

    def sample(
        self,
        volume: Array,
        matrix: Matrix | None = None,
        *,
        field: Array | None = None,
        shape: Box | None = None,
        order: int = 1,
        outside: float = 0.0,
        out: Array | None = None,
    ) -> Array:
        """``out(i) = volume(matrix (i + field(i)))``."""
        if field is not None and field.ndim == 5:
            out = np.empty((len(field), *field.shape[2:]), np.float32) if out is None else out
            for one, moved, to in zip(volume, field, out, strict=True):
                self.sample(one, matrix, field=moved, order=order, outside=outside, out=to)
            return out
        if shape is None:
            shape = next(tuple(a.shape[-3:]) for a in (out, field, volume) if a is not None)
        where = np.indices(shape, dtype=np.float64)
        if field is not None:
            where += field
        if matrix is not None:
            where = numpy_points.transform(matrix, where)
        inside = numpy_points.inside(where, volume.shape)
        out = np.empty(shape, volume.dtype if order == 0 else np.float32) if out is None else out
        out[...] = np.where(inside, _INTERPOLATE[order](volume, where), np.asarray(outside).astype(out.dtype))
        return out

    def sample_field(self, field: Array, matrix: Matrix, shape: Box, *, out: Array | None = None) -> Array:
        """``out(c, i) = field(c, matrix i)``, linear, clamped."""
        where = numpy_points.transform(matrix, np.indices(shape, dtype=np.float64))
        return _write(_field_at(field, where), out)

    def spline_coefficients(self, array: Array, spline: Spline) -> Array:
        """Of SciPy's splines, padded as SciPy does."""
        return host_splines.spline_coefficients(array, spline, 1)

    def interpolate(self, array: Array, places: Array | Lattice, spline: Spline, *, out: Array) -> Array:
        """What SciPy's `map_coordinates` gives, and exact labels."""
        return host_splines.interpolate(array, places, spline, 1, out)

    def gradient(self, volume: Array, *, out: Array | None = None) -> Array:
        """Central differences, one-sided at the faces: (3, I, J, K)."""
        return _write(_gradient(volume), out)

    def smooth(self, array: Array, sigma: tuple[float, float, float], *, out: Array) -> Array:
        """Gaussian of `sigma` voxels per axis; returns the largest norm of the result."""
        if array.ndim == 5:
            return np.concatenate([self.smooth(one, sigma, out=to) for one, to in zip(array, out, strict=True)])
        smoothed = _gaussian(array, sigma)
        out[...] = smoothed
        components = smoothed.reshape(-1, *smoothed.shape[-3:])
        return _one(np.sqrt(np.square(components).sum(axis=0).max()))

    def downsample(self, volume: Array, factors: tuple[float, float, float], *, out: Array) -> Array:
        """Gaussian of half a factor, then linear sampling at the centred coarse grid."""
        if volume.ndim == 4:
            for one, coarse in zip(volume, out, strict=True):
                self.downsample(one, factors, out=coarse)
            return out
        scale = np.array(factors, dtype=np.float64)
        smoothed = _gaussian(volume, tuple(np.where(scale == 1, 0, scale / 2)))
        matrix = np.diag([*scale, 1])
        matrix[:3, 3] = (np.array(volume.shape) - 1 - scale * (np.array(out.shape) - 1)) / 2
        return self.sample(smoothed, matrix, out=out)

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
        """Local squared correlation and the force on either image."""
        f, m = _doubles(fixed), _doubles(moving)
        w = _weights(mask, f.shape)
        n, f_sum, m_sum, ff, mm, fm = (_window_sum(w * a, radius) for a in (1.0, f, m, f * f, m * m, f * m))
        f_mean, m_mean = f_sum / np.maximum(n, 1), m_sum / np.maximum(n, 1)
        s_ff, s_mm, s_fm = ff - f_sum * f_mean, mm - m_sum * m_mean, fm - f_sum * m_mean
        useful = (s_ff > floor * n) & (s_mm > floor * n)
        s_ff, s_mm, s_fm = np.where(useful, s_ff, 1), np.where(useful, s_mm, 1), np.where(useful, s_fm, 0)
        value[...] = -(w * s_fm**2 / (s_ff * s_mm)).mean()
        slope = 2 * s_fm / (s_ff * s_mm) * w * _interior(f.shape)
        out_fixed[...] = slope * ((m - m_mean) - s_fm / s_ff * (f - f_mean)) * _gradient(f)
        out_moving[...] = slope * ((f - f_mean) - s_fm / s_mm * (m - m_mean)) * _gradient(m)

    def squared_difference(
        self, fixed: Array, moving: Array, *, mask: Array | None, out_fixed: Array, out_moving: Array, value: Array
    ) -> None:
        """Mean squared difference and the force on either image."""
        f, m = _doubles(fixed), _doubles(moving)
        w = _weights(mask, f.shape)
        value[...] = (w * (f - m) ** 2).mean()
        active = w * _interior(f.shape)
        out_fixed[...] = active * (m - f) * _gradient(f)
        out_moving[...] = active * (f - m) * _gradient(m)

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
        """``out(i) = s inner(i) + outer(i + s inner(i))``."""
        if outer.ndim == 5:
            for side, (one, moved, to) in enumerate(zip(outer, inner, out, strict=True)):
                longest = None if norm is None else norm[side : side + 1]
                self.compose(one, moved, norm=longest, least_norm=least_norm, step=step, out=to)
            return out
        length = float(np.asarray(step).item())
        scale = length if norm is None else length / max(float(norm.item()), least_norm)
        moved = scale * _doubles(inner)
        out[...] = moved + _field_at(outer, np.indices(inner.shape[1:]) + moved)
        return out

    def invert(self, field: Array, *, start: Array, tolerance: float, iterations: int, out: Array) -> Array:
        """Solve ``v + field(i + v) = 0`` by damped fixed-point steps."""
        lattice = np.indices(field.shape[1:])
        inverse = _doubles(start)
        for step in range(iterations + 1):
            residual = inverse + _field_at(field, lattice + inverse)
            norm = np.sqrt(np.square(residual).sum(axis=0))
            moving = norm > tolerance
            if step == iterations or not moving.any():
                break
            inverse = inverse - (1.0 if step < _UNDAMPED_STEPS else _DAMPING) * residual * moving
        out[...] = inverse
        return _one(norm.max())

    def jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        """``det(I + d field / d x)`` at every voxel: (I, J, K)."""
        slopes = np.stack([_gradient(component) for component in field])
        matrices = np.moveaxis(slopes, (0, 1), (-2, -1)) + np.eye(3)
        return _write(np.linalg.det(matrices), out)

    def statistics(self, array: Array, share: float, *, mask: Array | None = None, out: Array | None = None) -> Array:
        """Number, mean, quantile and maximum of absolute values, or of the lengths of a field's vectors (4,)."""
        lengths = np.sqrt(np.square(_doubles(array)).reshape(-1, *array.shape[-3:]).sum(axis=0))
        found = numpy_points.statistics(lengths.ravel() if mask is None else lengths[mask != 0], share)
        return numpy_points.handed_over(found, out)

    def sums(self, volume: Array, *, mask: Array | None = None, out: Array | None = None) -> Array:
        """Number, sum and sum of squares of the values."""
        return numpy_points.handed_over(numpy_points.sums(volume, mask), out)

    def extent(self, volume: Array, matrix: Matrix, *, out: Array | None = None) -> Array:
        """Lowest and highest coordinates ``matrix i`` of the voxels that are not 0 (2, 3)."""
        where = numpy_points.transform(matrix, np.argwhere(volume).T.astype(np.float64))
        found = np.stack([where.min(axis=1, initial=np.inf), where.max(axis=1, initial=-np.inf)])
        return numpy_points.handed_over(found, out)

    def sample_at(self, volume: Array, points: Array) -> Array:
        """Linear interpolant at points (N,)."""
        where = _doubles(points).T
        value, _ = numpy_points.value_and_slope(volume, where)
        return np.where(numpy_points.inside(where, volume.shape), value, 0).astype(np.float32)

    def affine_moments(
        self, points: Array, values: Array, volume: Array, matrix: Matrix, *, mask: Array | None = None
    ) -> tuple[Doubles, Doubles]:
        """Sums for correlation and squared difference (6,), and their slopes by `matrix` (3, 3, 4)."""
        x, f, y = numpy_points.visible(points, values, volume.shape, matrix, mask)
        m, m_slope = numpy_points.value_and_slope(volume, y)
        moments = np.array([len(f), f.sum(), m.sum(), f @ f, m @ m, f @ m], dtype=np.float64)
        return moments, np.stack([(w * m_slope) @ x for w in (np.ones_like(f), f, m)])

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
        """Negative mutual information, number of points, and derivative under each matrix (S, 2) or (S, 14)."""
        seen = [numpy_points.Parzen(points, values, volume, matrix, mask) for matrix in matrices]
        found, totals, tables = information(np.array([one.histogram(bins) for one in seen]).reshape(-1, bins, bins))
        by_matrix = np.empty((len(matrices), 12 if slopes else 0))
        for one, table, row in zip(seen, tables, by_matrix, strict=True):
            row[:] = one.slope(table).ravel() if slopes else ()
        return np.column_stack([found, totals, by_matrix])

    def descend(
        self, compared: Compared, family: Family, rules: Rules, listen: Callable[[int, float], None]
    ) -> NDArray[np.float64] | None:
        """None: nothing waits here."""

    def repeat(self, step: Callable[[], None], times: int) -> None:
        """Run `step` `times` times."""
        for _ in range(times):
            step()

    def keep(self, state: Array, energy: Array, *, kept: Array, trace: Array) -> None:
        """Copy the state where its energy is the lowest."""
        if convergence.is_best(float(energy[0]), trace):
            kept[...] = state

    def watch(self, energy: Array, *, trace: Array, step: Array, pace: convergence.Pace) -> None:
        """Append an energy to a trace, and steer by it."""
        convergence.watch(float(energy[0]), trace, step, pace)

    def session(self) -> AbstractContextManager[None]:
        """Nothing to set up."""
        return nullcontext()

    def prepare(self, parts: Collection[str]) -> None:
        """Nothing is compiled."""

    def release(self) -> None:
        """Nothing is kept."""


def _doubles(array: Array) -> Doubles:
    return np.asarray(array, dtype=np.float64)


def _one(number: Any) -> Array:
    return np.array([number], dtype=np.float32)


def _write(result: Doubles, out: Array | None) -> Array:
    if out is None:
        return result.astype(np.float32)
    out[...] = result
    return out


def _nearest(volume: Array, where: Doubles) -> Array:
    return volume[tuple(numpy_points.nearest_index(where, volume.shape))]


def _linear(volume: Array, where: Doubles) -> Array:
    clamped = numpy_points.clamp(where, volume.shape)
    return map_coordinates(_doubles(volume), clamped, order=1, mode="nearest")


def _cubic(volume: Array, where: Doubles) -> Array:
    clamped = numpy_points.clamp(where, volume.shape)
    return map_coordinates(_doubles(volume), clamped, order=3, mode="mirror")


_INTERPOLATE: dict[int, Callable[[Array, Doubles], Array]] = {0: _nearest, 1: _linear, 3: _cubic}


def _field_at(field: Array, where: Doubles) -> Doubles:
    return np.stack([_linear(component, where) for component in field])


def _gradient(volume: Array) -> Doubles:
    slopes = np.zeros((3, *volume.shape))
    for axis, n in enumerate(volume.shape):
        if n > 1:
            slopes[axis] = np.gradient(_doubles(volume), axis=axis)
    return slopes


def _gaussian(array: Array, sigma: tuple[float, ...]) -> Doubles:
    smoothed = _doubles(array)
    for axis, width in zip((-3, -2, -1), sigma, strict=True):
        if width > 0:
            reach = max(1, int(3 * width + 0.5))
            kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
            smoothed = correlate1d(smoothed, kernel / kernel.sum(), axis=axis, mode="nearest")
    return smoothed


def _window_sum(array: Doubles, radius: int) -> Doubles:
    for axis in range(3):
        array = correlate1d(array, np.ones(2 * radius + 1), axis=axis, mode="constant")
    return array


def _weights(mask: Array | None, shape: tuple[int, ...]) -> Doubles:
    return np.ones(shape) if mask is None else _doubles(mask > 0)


def _interior(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """True off the outer faces; an axis of one voxel has no faces."""
    interior = np.zeros(shape, dtype=bool)
    interior[tuple(slice(1, -1) if n > 1 else slice(None) for n in shape)] = True
    return interior
