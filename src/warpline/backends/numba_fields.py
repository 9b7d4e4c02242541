"""Gradient, composition, inversion and Jacobian of fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from warpline.backends.numba_lanes import LANES, along_row, every, fma, load, moved, pointer, splat, store, where
from warpline.backends.numba_settings import EXACT, HELPER, IN_ORDER, INLINE, KERNEL, KERNEL_EXACT

f32 = np.float32


@njit(**INLINE)
def _difference(volume: Any, i: Any, j: Any, k: Any) -> Any:
    """Gradient per voxel at (i, j, k): central, one-sided at the faces, zero along an axis of one voxel."""
    ni, nj, nk = volume.shape
    i0, i1 = max(i - 1, 0), min(i + 1, ni - 1)
    j0, j1 = max(j - 1, 0), min(j + 1, nj - 1)
    k0, k1 = max(k - 1, 0), min(k + 1, nk - 1)
    return (
        (volume[i1, j, k] - volume[i0, j, k]) / f32(max(i1 - i0, 1)),
        (volume[i, j1, k] - volume[i, j0, k]) / f32(max(j1 - j0, 1)),
        (volume[i, j, k1] - volume[i, j, k0]) / f32(max(k1 - k0, 1)),
    )


@njit(**KERNEL)
def gradient(first: Any, last: Any, volume: Any, out: Any) -> None:
    """See `warpline.backends.interface.Backend.gradient`."""
    for i in range(first, last):
        for j in range(volume.shape[1]):
            for k in range(volume.shape[2]):
                out[0, i, j, k], out[1, i, j, k], out[2, i, j, k] = _difference(volume, i, j, k)


@njit(**KERNEL)
def lengths(first: Any, last: Any, stack: Any, out: Any) -> None:
    """Absolute values of a volume (1, I, J, K), or lengths of a field's vectors (3, I, J, K)."""
    for i in range(first, last):
        for j in range(stack.shape[2]):
            for k in range(stack.shape[3]):
                if stack.shape[0] == 1:
                    out[i, j, k] = abs(stack[0, i, j, k])
                else:
                    a, b, c = stack[0, i, j, k], stack[1, i, j, k], stack[2, i, j, k]
                    out[i, j, k] = np.sqrt(a * a + b * b + c * c)


@njit(**KERNEL)
def extent(first: Any, last: Any, volume: Any, matrix: Any, ends: Any) -> None:
    """Lowest and highest coordinates ``matrix i`` of the voxels of every slab that are not 0: (I, 2, 3)."""
    nk = volume.shape[2]
    for i in range(first, last):
        for row in range(3):
            ends[i, 0, row], ends[i, 1, row] = np.inf, -np.inf
        for j in range(volume.shape[1]):
            low, high = nk, -1
            for k in range(nk):
                if volume[i, j, k] != 0:
                    low, high = min(low, k), k
            if high < 0:
                continue
            for row in range(3):  # coordinates are monotonic along k, so that the extremes lie at the ends of a line
                rest = matrix[row, 0] * i + matrix[row, 1] * j + matrix[row, 3]
                for k in (low, high):
                    x = rest + matrix[row, 2] * k
                    ends[i, 0, row], ends[i, 1, row] = min(ends[i, 0, row], x), max(ends[i, 1, row], x)


@njit(**KERNEL)
def jacobian(first: Any, last: Any, field: Any, out: Any) -> None:
    """``det(I + d field / d x)``."""
    for i in range(first, last):
        for j in range(field.shape[2]):
            for k in range(field.shape[3]):
                a, b, c = _difference(field[0], i, j, k)
                d, e, f = _difference(field[1], i, j, k)
                g, h, m = _difference(field[2], i, j, k)
                a, e, m = a + f32(1), e + f32(1), m + f32(1)
                out[i, j, k] = a * (e * m - f * h) - b * (d * m - f * g) + c * (d * h - e * g)


@njit(**INLINE)
def _bracket(i: Any, shift: Any, n: Any) -> Any:
    """Clamped voxels around i + shift and the weight of the upper one."""
    low = np.floor(min(max(shift, f32(-n)), f32(n)))
    base = i + np.int64(low)
    return min(max(base, 0), n - 1), min(max(base + 1, 0), n - 1), shift - low


@njit(**INLINE)
def _displacement_at(field: Any, index: Any, shift: Any) -> Any:
    """The field at index + shift, linear, clamped at the border."""
    _, ni, nj, nk = field.shape
    x0, x1, fx = _bracket(index[0], shift[0], ni)
    y0, y1, fy = _bracket(index[1], shift[1], nj)
    z0, z1, fz = _bracket(index[2], shift[2], nk)
    gx, gy, gz = f32(1) - fx, f32(1) - fy, f32(1) - fz
    w00, w01, w10, w11 = gx * gy, gx * fy, fx * gy, fx * fy
    u = field[0]
    a = w00 * (gz * u[x0, y0, z0] + fz * u[x0, y0, z1]) + w01 * (gz * u[x0, y1, z0] + fz * u[x0, y1, z1])
    a += w10 * (gz * u[x1, y0, z0] + fz * u[x1, y0, z1]) + w11 * (gz * u[x1, y1, z0] + fz * u[x1, y1, z1])
    u = field[1]
    b = w00 * (gz * u[x0, y0, z0] + fz * u[x0, y0, z1]) + w01 * (gz * u[x0, y1, z0] + fz * u[x0, y1, z1])
    b += w10 * (gz * u[x1, y0, z0] + fz * u[x1, y0, z1]) + w11 * (gz * u[x1, y1, z0] + fz * u[x1, y1, z1])
    u = field[2]
    c = w00 * (gz * u[x0, y0, z0] + fz * u[x0, y0, z1]) + w01 * (gz * u[x0, y1, z0] + fz * u[x0, y1, z1])
    c += w10 * (gz * u[x1, y0, z0] + fz * u[x1, y0, z1]) + w11 * (gz * u[x1, y1, z0] + fz * u[x1, y1, z1])
    return a, b, c


@njit(**KERNEL_EXACT)
def compose(first: Any, last: Any, outer: Any, inner: Any, scale: Any, out: Any, shift: Any) -> None:
    """``out(i) = s inner(i) + outer(i + s inner(i))``; works in `shift` (3, K)."""
    _, ni, nj, nk = outer.shape
    size, moves, stride = ni * nj * nk, pointer(shift), shift.shape[1]
    given, found = pointer(outer), pointer(out)
    for i in range(first, last):
        for j in range(nj):
            near = _scale_row(pointer(inner), (i * nj + j) * nk, size, scale, moves, nk)
            if near and nk > 2:
                rows = _rows_around(i, j, outer.shape)
                along_row(_compose_near, nk - 2, (given, rows, size, moves, stride, found, (i * nj + j) * nk + 1))
            _compose_far(outer, (i, j), shift, max(nk - 1, 1) if near else 1, out)


@njit(**EXACT)
def _scale_row(inner: Any, at: Any, size: Any, scale: Any, shift: Any, n: Any) -> Any:
    """``shift = scale inner`` along a row; whether all of it is shorter than a voxel along every axis."""
    near = True
    for c in range(3):
        along_row(_scale, n, (inner, c * size + at, scale, moved(shift, c * n)))
    for k in range(0, 3 * n - LANES + 1, LANES):
        near = near and _is_near(load(shift, k, LANES))
    rest = 3 * n % LANES
    return near and _is_near(load(shift, 3 * n - rest, rest))


@njit(**EXACT)
def _scale(k: Any, count: Any, given: Any) -> None:
    source, at, scale, target = given
    store(target, k, splat(scale) * load(source, at + k, count), count)


@njit(**EXACT)
def _is_near(x: Any) -> Any:
    one = splat(f32(1))
    return every((one > x) & (one > -x))


@njit(**EXACT)
def _rows_around(i: Any, j: Any, shape: Any) -> Any:
    """Where row (i, j) and its eight neighbours begin, clamped to the volume, row by row."""
    _, ni, nj, nk = shape
    i0, i2 = max(i - 1, 0) * nj, min(i + 1, ni - 1) * nj
    j0, j2 = max(j - 1, 0), min(j + 1, nj - 1)
    i1 = i * nj
    return (
        ((i0 + j0) * nk, (i0 + j) * nk, (i0 + j2) * nk),
        ((i1 + j0) * nk, (i1 + j) * nk, (i1 + j2) * nk),
        ((i2 + j0) * nk, (i2 + j) * nk, (i2 + j2) * nk),
    )


@njit(**HELPER)
def _compose_far(outer: Any, row: Any, shift: Any, step: Any, out: Any) -> None:
    """Any displacement, at every `step`-th voxel of a row: gathers eight voxels per point."""
    i, j = row
    for k in range(0, outer.shape[3], step):
        x, y, z = shift[0, k], shift[1, k], shift[2, k]
        a, b, c = _displacement_at(outer, (i, j, k), (x, y, z))
        out[0, i, j, k], out[1, i, j, k], out[2, i, j, k] = a + x, b + y, c + z


@njit(**EXACT)
def _hat(x: Any) -> Any:
    """Linear interpolation weights of the voxels at -1, 0, 1 for points at x, |x| < 1."""
    one, zero = splat(f32(1)), splat(f32(0))
    below, above = where(zero > x, -x, zero), where(x > zero, x, zero)
    return below, one - below - above, above


@njit(**EXACT)
def _three(field: Any, at: Any, z: Any, count: Any) -> Any:
    """Weighted sum of voxels at -1, 0 and 1 along axis 2."""
    below, middle, above = load(field, at, count), load(field, at + 1, count), load(field, at + 2, count)
    return fma(z[2], above, fma(z[1], middle, z[0] * below))


@njit(**EXACT)
def _first_three(field: Any, at: Any, z: Any, count: Any) -> Any:
    """The same at the first row, in the order of versions before, for the same last bits."""
    below, middle, above = load(field, at, count), load(field, at + 1, count), load(field, at + 2, count)
    return fma(z[1], middle, fma(z[2], above, z[0] * below))


@njit(**EXACT)
def _nine(field: Any, first: Any, rows: Any, k: Any, y: Any, z: Any, count: Any) -> Any:
    """Weighted sum over three rows, of which the first is summed up already."""
    second, third = _three(field, rows[1] + k, z, count), _three(field, rows[2] + k, z, count)
    return fma(y[2], third, fma(y[1], second, y[0] * first))


@njit(**EXACT)
def _compose_near(k: Any, count: Any, given: Any) -> None:
    """Displacements below a voxel: a stencil of 27 weighted neighbours without gathers."""
    field, rows, size, shift, stride, out, at = given
    own = load(shift, k + 1, count), load(shift, stride + k + 1, count), load(shift, 2 * stride + k + 1, count)
    x, y, z = _hat(own[0]), _hat(own[1]), _hat(own[2])
    for c in range(3):
        volume = moved(field, c * size)
        first = _first_three(volume, rows[0][0] + k, z, count)
        total = fma(x[0], _nine(volume, first, rows[0], k, y, z, count), own[c])
        first = _three(volume, rows[1][0] + k, z, count)
        total = fma(x[1], _nine(volume, first, rows[1], k, y, z, count), total)
        first = _three(volume, rows[2][0] + k, z, count)
        total = fma(x[2], _nine(volume, first, rows[2], k, y, z, count), total)
        store(out, c * size + at + k, total, count)


@njit(**EXACT)
def _times(a: Any, b: Any) -> Any:
    """A product that is rounded and never fused with a sum."""
    return a * b


@njit(**IN_ORDER)
def _residual_at(field: Any, index: Any, shift: Any) -> Any:
    """``shift + field(index + shift)``, linear, clamped at the border.

    Which product of each sum is fused and which is rounded is fixed, so that it does not depend on where this is
    inlined.
    """
    _, ni, nj, nk = field.shape
    x0, x1, fx = _bracket(index[0], shift[0], ni)
    y0, y1, fy = _bracket(index[1], shift[1], nj)
    z0, z1, fz = _bracket(index[2], shift[2], nk)
    gx, gy, gz = f32(1) - fx, f32(1) - fy, f32(1) - fz
    w00, w01, w10, w11 = gx * gy, gx * fy, fx * gy, fx * fy
    u = field[0]
    a = shift[0] + w00 * (gz * u[x0, y0, z0] + _times(fz, u[x0, y0, z1]))
    a += w01 * (gz * u[x0, y1, z0] + _times(fz, u[x0, y1, z1]))
    a += w10 * (fz * u[x1, y0, z1] + _times(gz, u[x1, y0, z0]))
    a += w11 * (fz * u[x1, y1, z1] + _times(gz, u[x1, y1, z0]))
    u = field[1]
    b = shift[1] + w00 * (fz * u[x0, y0, z1] + _times(gz, u[x0, y0, z0]))
    b += w01 * (fz * u[x0, y1, z1] + _times(gz, u[x0, y1, z0]))
    b += w10 * (fz * u[x1, y0, z1] + _times(gz, u[x1, y0, z0]))
    b += w11 * (fz * u[x1, y1, z1] + _times(gz, u[x1, y1, z0]))
    u = field[2]
    c = shift[2] + w00 * (fz * u[x0, y0, z1] + _times(gz, u[x0, y0, z0]))
    c += w01 * (fz * u[x0, y1, z1] + _times(gz, u[x0, y1, z0]))
    c += w10 * (fz * u[x1, y0, z1] + _times(gz, u[x1, y0, z0]))
    c += w11 * (fz * u[x1, y1, z1] + _times(gz, u[x1, y1, z0]))
    return a, b, c


@njit(**KERNEL)
def invert(
    first: Any, last: Any, field: Any, start: Any, tolerance: Any, iterations: Any, out: Any, largest: Any
) -> None:
    """Solve ``v + field(i + v) = 0`` voxel by voxel; `largest` (I,) gets the squared residual of every slab."""
    nj, nk = field.shape[2], field.shape[3]
    for i in range(first, last):
        worst = f32(0)
        for j in range(nj):
            for k in range(nk):
                x, y, z = start[0, i, j, k], start[1, i, j, k], start[2, i, j, k]
                residual = f32(0)
                for step in range(iterations + 1):
                    a, b, c = _residual_at(field, (i, j, k), (x, y, z))
                    residual = a * a + b * b + c * c
                    if residual <= tolerance * tolerance or step == iterations:
                        break
                    factor = f32(1) if step < 8 else f32(0.4)
                    x, y, z = x - factor * a, y - factor * b, z - factor * c
                out[0, i, j, k], out[1, i, j, k], out[2, i, j, k] = x, y, z
                worst = max(worst, residual)
        largest[i] = worst
