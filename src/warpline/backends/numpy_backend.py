"""The specification: every operation in plain NumPy and SciPy, float64 inside, float32 out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, map_coordinates

from warpline.backends import numpy_information, numpy_points, numpy_tetrahedra, voxel_coordinates
from warpline.backends.arrays import Array, Matrix, Shape
from warpline.backends.descriptors import DescriptorOperations
from warpline.backends.host_backend import Doubles, HostBackend, Sigma, rank_statistics, to_out
from warpline.backends.interface import Backend
from warpline.backends.joint_histograms import mutual_information
from warpline.backends.motion import MotionOperations
from warpline.backends.numpy_descriptors import NumpyDescriptors
from warpline.backends.numpy_motion import NumpyMotion

_UNDAMPED_STEPS = 8
_RELAXATION = 0.4


def create(threads: int, ordinal: str = "") -> Backend:
    """The backend on one thread, whatever `threads` is; CPUs have no `ordinal`."""
    return NumpyBackend(1)


class NumpyBackend(HostBackend):
    """Operations of `warpline.backends.interface.Backend`, documented there."""

    name = "numpy"

    @property
    def descriptors(self) -> DescriptorOperations:
        return NumpyDescriptors()

    @property
    def motion(self) -> MotionOperations:
        return NumpyMotion(self.smooth)

    def _sample(
        self, volume: Array, matrix: Matrix | None, field: Array | None, *, order: int, outside: float, out: Array
    ) -> None:
        at = np.indices(out.shape, dtype=np.float64)
        if field is not None:
            at += field
        if matrix is not None:
            at = numpy_points.transform(matrix, at)
        is_inside = voxel_coordinates.inside(at, volume.shape)
        out[...] = np.where(is_inside, _INTERPOLATE[order](volume, at), np.asarray(outside).astype(out.dtype))

    def sample_field(self, field: Array, matrix: Matrix, shape: Shape, *, out: Array | None = None) -> Array:
        where = numpy_points.transform(matrix, np.indices(shape, dtype=np.float64))
        return _write(_field_at(field, where), out)

    def gradient(self, volume: Array, *, out: Array | None = None) -> Array:
        return _write(_gradient(volume), out)

    def _smooth(self, array: Array, sigma: Sigma, out: Array, out_norm: Array | None) -> None:
        smoothed = _gaussian(array, sigma)
        out[...] = smoothed
        if out_norm is not None:
            out_norm[0] = max(out_norm[0], _largest_norm(smoothed))

    def _downsample(self, volume: Array, factors: Sigma, out: Array) -> None:
        scale = np.array(factors, dtype=np.float64)
        smoothed = _gaussian(volume, tuple(np.where(scale == 1, 0, scale / 2)))
        matrix = np.diag([*scale, 1])
        matrix[:3, 3] = (np.array(volume.shape) - 1 - scale * (np.array(out.shape) - 1)) / 2
        self.sample(smoothed, matrix, out=out)

    def _halve(self, field: Array, out: Array) -> None:
        means = _doubles(field)
        for axis, n in enumerate(field.shape[1:], 1):
            first = np.arange(0, n, 2)
            means = (means.take(first, axis) + means.take(np.minimum(first + 1, n - 1), axis)) / 2
        out[...] = means

    def _add_doubled(self, coarse: Array, weight: float, out: Array, out_norm: Array | None) -> None:
        out += weight * _field_at(coarse, (np.indices(out.shape[1:]) - 0.5) / 2)
        if out_norm is not None:
            out_norm[0] = max(out_norm[0], _largest_norm(out))

    def map_values(self, volume: Array, curve: Array, span: tuple[float, float], *, out: Array | None = None) -> Array:
        return to_out(np.interp(volume, np.linspace(*span, len(curve)), curve).astype(np.float32), out)

    def add_weighted(self, array: Array, weight: Array, *, out: Array, start: bool = False) -> Array:
        out[...] = weight[0] * array + (0 if start else out)
        return out

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
        f, m = _doubles(fixed), _doubles(moving)
        w, counted = _weights(mask), np.ones(f.shape) if mask is None else _doubles(mask > 0)
        n = _window_sizes(f.shape, radius) if mask is None else _window_sum(counted, radius)
        f_sum, m_sum, ff, mm, fm = (_window_sum(counted * a, radius) for a in (f, m, f * f, m * m, f * m))
        f_mean, m_mean = f_sum / np.maximum(n, 1), m_sum / np.maximum(n, 1)
        s_ff, s_mm, s_fm = ff - f_sum * f_mean, mm - m_sum * m_mean, fm - f_sum * m_mean
        useful = (s_ff > contrast_floor * n) & (s_mm > contrast_floor * n)
        s_ff, s_mm, s_fm = np.where(useful, s_ff, 1), np.where(useful, s_mm, 1), np.where(useful, s_fm, 0)
        value[...] = -(w * s_fm**2 / (s_ff * s_mm)).mean()
        slope = 2 * s_fm / (s_ff * s_mm) * w * _interior(f.shape)
        out_fixed[...] = slope * ((m - m_mean) - s_fm / s_ff * (f - f_mean)) * _gradient(f)
        out_moving[...] = slope * ((f - f_mean) - s_fm / s_mm * (m - m_mean)) * _gradient(m)

    def squared_difference(
        self, fixed: Array, moving: Array, *, mask: Array | None, out_fixed: Array, out_moving: Array, value: Array
    ) -> None:
        f, m = _doubles(fixed), _doubles(moving)
        w = _weights(mask)
        value[...] = (w * (f - m) ** 2).mean()
        active = w * _interior(f.shape)
        out_fixed[...] = active * (m - f) * _gradient(f)
        out_moving[...] = active * (f - m) * _gradient(m)

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
        counted = None if mask is None else mask > 0
        value[...], by_fixed, by_moving = numpy_information.information_and_slopes(fixed, moving, bins, span, counted)
        active = _weights(mask) * _interior(fixed.shape)
        out_fixed[...] = active * by_fixed * _gradient(fixed)
        out_moving[...] = active * by_moving * _gradient(moving)

    def _compose(self, outer: Array, inner: Array, scale: float, out: Array) -> None:
        moved = scale * _doubles(inner)
        out[...] = moved + _field_at(outer, np.indices(inner.shape[1:]) + moved)

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
        index = np.indices(field.shape[1:]).reshape(3, -1)
        inverse = np.array(start, np.float64).reshape(3, -1)
        norm, left = np.empty(index.shape[1]), np.arange(index.shape[1])  # voxels that have not converged
        for step in range(iterations + 1):
            residual = inverse[:, left] + _field_at(field, index[:, left] + inverse[:, left])
            norm[left] = np.sqrt(np.square(residual).sum(axis=0))
            moving = norm[left] > tolerance
            if step == iterations or not moving.any():
                break
            left = left[moving]
            inverse[:, left] -= (1.0 if step < _UNDAMPED_STEPS else _RELAXATION) * residual[:, moving]
        if out_residual is not None:
            out_residual[0] = norm.max()
        return _write(inverse.reshape(field.shape), out)

    def jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        slopes = np.stack([_gradient(component) for component in field])
        matrices = np.moveaxis(slopes, (0, 1), (-2, -1)) + np.eye(3)
        return _write(np.linalg.det(matrices), out)

    def least_jacobian(self, field: Array, *, out: Array | None = None) -> Array:
        return _write(numpy_tetrahedra.least_jacobian(field), out)

    def unfold(self, field: Array, *, limit: float, target: float, sweeps: int, least: Array | None = None) -> None:
        numpy_tetrahedra.unfold(field, (limit, target), sweeps, least)

    def statistics(
        self, array: Array, quantile: float, *, mask: Array | None = None, out: Array | None = None
    ) -> Array:
        lengths = np.sqrt(np.square(_doubles(array)).reshape(-1, *array.shape[-3:]).sum(axis=0))
        return to_out(rank_statistics(lengths.ravel() if mask is None else lengths[mask != 0], quantile), out)

    def extent(self, volume: Array, matrix: Matrix, *, out: Array | None = None) -> Array:
        where = numpy_points.transform(matrix, np.argwhere(volume).T.astype(np.float64))
        found = np.stack([where.min(axis=1, initial=np.inf), where.max(axis=1, initial=-np.inf)])
        return to_out(found, out)

    def sample_at(self, volume: Array, points: Array) -> Array:
        where = _doubles(points).T
        value, _ = numpy_points.value_and_slope(volume, where)
        return np.where(voxel_coordinates.inside(where, volume.shape), value, 0).astype(np.float32)

    def affine_moments(
        self, points: Array, values: Array, volume: Array, matrix: Matrix, *, mask: Array | None = None
    ) -> tuple[Doubles, Doubles]:
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
        seen = [numpy_points.Parzen(points, values, volume, matrix, mask) for matrix in matrices]
        found, totals, tables = mutual_information(
            np.array([one.histogram(bins) for one in seen]).reshape(-1, bins, bins)
        )
        by_matrix = np.empty((len(matrices), 12 if slopes else 0))
        for one, table, row in zip(seen, tables, by_matrix, strict=True):
            row[:] = one.slope(table).ravel() if slopes else ()
        return np.column_stack([found, totals, by_matrix])


def _doubles(array: Array) -> Doubles:
    return np.asarray(array, dtype=np.float64)


def _write(result: Doubles, out: Array | None) -> Array:
    return result.astype(np.float32) if out is None else to_out(result, out)


def _nearest(volume: Array, where: Doubles) -> Array:
    return volume[tuple(voxel_coordinates.nearest_index(where, volume.shape))]


def _linear(volume: Array, where: Doubles) -> Array:
    return _field_at(volume[None], where)[0]


def _cubic(volume: Array, where: Doubles) -> Array:
    clamped = voxel_coordinates.clamp(where, volume.shape)
    return map_coordinates(_doubles(volume), clamped, order=3, mode="mirror")


_INTERPOLATE: dict[int, Callable[[Array, Doubles], Array]] = {0: _nearest, 1: _linear, 3: _cubic}


def _largest_norm(array: Doubles) -> float:
    """Of a volume or the vectors of a field."""
    components = _doubles(array).reshape(-1, *array.shape[-3:])
    return float(np.sqrt(np.square(components).sum(axis=0).max()))


def _field_at(field: Array, where: Doubles) -> Doubles:
    clamped = voxel_coordinates.clamp(where, field.shape[1:])
    return np.stack([map_coordinates(_doubles(one), clamped, order=1, mode="nearest") for one in field])


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


def _window_sizes(shape: tuple[int, ...], radius: int) -> Doubles:
    """Voxels in each window that lie in the volume: what `_window_sum` gives of ones."""
    i, j, k = (np.minimum(np.arange(n) + radius, n - 1) - np.maximum(np.arange(n) - radius, 0) + 1.0 for n in shape)
    return i[:, None, None] * j[:, None] * k


def _weights(mask: Array | None) -> Doubles | float:
    return 1.0 if mask is None else _doubles(np.maximum(mask, 0))


def _interior(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """True off the outer faces; an axis of one voxel has no faces."""
    interior = np.zeros(shape, dtype=bool)
    interior[tuple(slice(1, -1) if n > 1 else slice(None) for n in shape)] = True
    return interior
