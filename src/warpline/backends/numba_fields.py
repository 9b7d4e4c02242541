"""Gradient, composition, inversion and Jacobian of fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from warpline.backends.numba_settings import INLINE, PARALLEL, SERIAL

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


@njit(**PARALLEL)
def gradient(volume: Any, out: Any) -> None:
    """See `warpline.backends.interface.Backend.gradient`."""
    for i in prange(volume.shape[0]):
        for j in range(volume.shape[1]):
            for k in range(volume.shape[2]):
                out[0, i, j, k], out[1, i, j, k], out[2, i, j, k] = _difference(volume, i, j, k)


@njit(**PARALLEL)
def lengths(stack: Any) -> Any:
    """Absolute values of a volume (1, I, J, K), or lengths of a field's vectors (3, I, J, K)."""
    out = np.empty(stack.shape[1:], np.float32)
    for i in prange(stack.shape[1]):
        for j in range(stack.shape[2]):
            for k in range(stack.shape[3]):
                if stack.shape[0] == 1:
                    out[i, j, k] = abs(stack[0, i, j, k])
                else:
                    a, b, c = stack[0, i, j, k], stack[1, i, j, k], stack[2, i, j, k]
                    out[i, j, k] = np.sqrt(a * a + b * b + c * c)
    return out


@njit(**PARALLEL)
def extent(volume: Any, matrix: Any) -> Any:
    """Lowest and highest coordinates ``matrix i`` of the voxels that are not 0: (2, 3)."""
    ni, nj, nk = volume.shape
    ends = np.empty((ni, 2, 3))
    for i in prange(ni):
        ends[i, 0], ends[i, 1] = np.inf, -np.inf
        for j in range(nj):
            first, last = nk, -1
            for k in range(nk):
                if volume[i, j, k] != 0:
                    first, last = min(first, k), k
            if last < 0:
                continue
            for row in range(3):  # along k coordinates rise or fall, so that the ends of a line hold its extremes
                rest = matrix[row, 0] * i + matrix[row, 1] * j + matrix[row, 3]
                for k in (first, last):
                    x = rest + matrix[row, 2] * k
                    ends[i, 0, row], ends[i, 1, row] = min(ends[i, 0, row], x), max(ends[i, 1, row], x)
    found = ends[0].copy()
    for i in range(1, ni):
        for row in range(3):
            found[0, row], found[1, row] = min(found[0, row], ends[i, 0, row]), max(found[1, row], ends[i, 1, row])
    return found


@njit(**PARALLEL)
def jacobian(field: Any, out: Any) -> None:
    """``det(I + d field / d x)``."""
    for i in prange(field.shape[1]):
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


@njit(**PARALLEL)
def compose(outer: Any, inner: Any, scale: Any, out: Any) -> None:
    """``out(i) = s inner(i) + outer(i + s inner(i))``."""
    _, ni, nj, nk = outer.shape
    for i in prange(ni):
        shift = np.empty((3, nk), np.float32)
        for j in range(nj):
            if _scaled_row(inner, (i, j), scale, shift) < f32(1):
                for c in range(3):
                    _compose_near(outer[c], (i, j), shift, c, out[c, i, j])
                _compose_far(outer, (i, j), shift, (0, 1), out)
                _compose_far(outer, (i, j), shift, (nk - 1, nk), out)
            else:
                _compose_far(outer, (i, j), shift, (0, nk), out)


@njit(**SERIAL)
def _scaled_row(inner: Any, row: Any, scale: Any, shift: Any) -> Any:
    """``shift = scale inner`` along a row; returns its largest absolute entry."""
    largest = f32(0)
    for c in range(3):
        source, target = inner[c, row[0], row[1]], shift[c]
        for k in range(target.shape[0]):
            value = scale * source[k]
            target[k] = value
            largest = max(largest, abs(value))
    return largest


@njit(**SERIAL)
def _compose_far(outer: Any, row: Any, shift: Any, span: Any, out: Any) -> None:
    """Any displacement: gathers the eight voxels around each point."""
    i, j = row
    for k in range(span[0], span[1]):
        x, y, z = shift[0, k], shift[1, k], shift[2, k]
        a, b, c = _displacement_at(outer, (i, j, k), (x, y, z))
        out[0, i, j, k], out[1, i, j, k], out[2, i, j, k] = a + x, b + y, c + z


@njit(**INLINE)
def _three(line: Any, k: Any, w: Any) -> Any:
    return w[0] * line[np.uint64(k - 1)] + w[1] * line[np.uint64(k)] + w[2] * line[np.uint64(k + 1)]


@njit(**INLINE)
def _hat(x: Any) -> Any:
    """Linear interpolation weights of the voxels at -1, 0, 1 for a point at x, |x| < 1."""
    below, above = max(-x, f32(0)), max(x, f32(0))
    return below, f32(1) - below - above, above


@njit(**SERIAL)
def _compose_near(u: Any, row: Any, shift: Any, component: Any, out: Any) -> None:
    """Displacements shorter than a voxel: 27 weighted neighbours, no gather, so that the row vectorises."""
    i, j = row
    i0, i2, j0, j2 = max(i - 1, 0), min(i + 1, u.shape[0] - 1), max(j - 1, 0), min(j + 1, u.shape[1] - 1)
    a0, a1, a2 = u[i0, j0], u[i0, j], u[i0, j2]
    b0, b1, b2 = u[i, j0], u[i, j], u[i, j2]
    c0, c1, c2 = u[i2, j0], u[i2, j], u[i2, j2]
    dx, dy, dz, own = shift[0], shift[1], shift[2], shift[component]
    for m in range(out.shape[0] - 2):
        k = m + 1
        x, y, z = _hat(dx[k]), _hat(dy[k]), _hat(dz[k])
        a = y[0] * _three(a0, k, z) + y[1] * _three(a1, k, z) + y[2] * _three(a2, k, z)
        b = y[0] * _three(b0, k, z) + y[1] * _three(b1, k, z) + y[2] * _three(b2, k, z)
        c = y[0] * _three(c0, k, z) + y[1] * _three(c1, k, z) + y[2] * _three(c2, k, z)
        out[k] = own[k] + x[0] * a + x[1] * b + x[2] * c


@njit(**PARALLEL)
def invert(field: Any, start: Any, tolerance: Any, iterations: Any, out: Any) -> Any:
    """Solve ``v + field(i + v) = 0`` voxel by voxel; returns the largest residual."""
    _, ni, nj, nk = field.shape
    largest = np.zeros(ni, np.float32)
    for i in prange(ni):
        worst = f32(0)
        for j in range(nj):
            for k in range(nk):
                x, y, z = start[0, i, j, k], start[1, i, j, k], start[2, i, j, k]
                residual = f32(0)
                for step in range(iterations + 1):
                    a, b, c = _displacement_at(field, (i, j, k), (x, y, z))
                    a, b, c = a + x, b + y, c + z
                    residual = a * a + b * b + c * c
                    if residual <= tolerance * tolerance or step == iterations:
                        break
                    factor = f32(1) if step < 8 else f32(0.4)
                    x, y, z = x - factor * a, y - factor * b, z - factor * c
                out[0, i, j, k], out[1, i, j, k], out[2, i, j, k] = x, y, z
                worst = max(worst, residual)
        largest[i] = worst
    return np.sqrt(largest.max())
