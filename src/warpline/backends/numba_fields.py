"""Gradient, composition, inversion and Jacobian of fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from warpline.backends.numba_settings import EXACT, HELPER, IN_ORDER, INLINE, KERNEL

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


@njit(**KERNEL)
def compose(first: Any, last: Any, outer: Any, inner: Any, scale: Any, out: Any, shift: Any) -> None:
    """``out(i) = s inner(i) + outer(i + s inner(i))``; works in `shift` (3, K)."""
    nj, nk = outer.shape[2], outer.shape[3]
    for i in range(first, last):
        for j in range(nj):
            near = _scaled_row(inner, (i, j), scale, shift) < f32(1)
            if near:
                for c in range(3):
                    _compose_near(outer[c], (i, j), shift, c, out[c, i, j])
            _compose_far(outer, (i, j), shift, max(nk - 1, 1) if near else 1, out)


@njit(**HELPER)
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


@njit(**HELPER)
def _compose_far(outer: Any, row: Any, shift: Any, step: Any, out: Any) -> None:
    """Any displacement, at every `step`-th voxel of a row: gathers eight voxels per point."""
    i, j = row
    for k in range(0, outer.shape[3], step):
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


@njit(**HELPER)
def _compose_near(u: Any, row: Any, shift: Any, component: Any, out: Any) -> None:
    """Displacements below a voxel: a stencil of 27 weighted neighbours without gathers, which vectorises."""
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
