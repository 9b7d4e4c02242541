"""Jacobian determinants of the ten tetrahedra at a voxel: the least of them, and how to raise them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from warpline.backends.numba_settings import HELPER, KERNEL
from warpline.backends.tetrahedra import CORNERS, EDGES, LEAST_SLOPE, LONGEST_STEP, RELAXATION, SCALES

f32 = np.float32
TINY = np.finfo(f32).tiny
NEAR = 5**3
"""Voxels at most two from one along every axis, whose determinants a sweep over it can change."""


@njit(**HELPER)
def _determinant(a: Any, b: Any, c: Any) -> Any:
    """Of the matrix with these columns."""
    x = a[1] * b[2] - a[2] * b[1]
    y = a[2] * b[0] - a[0] * b[2]
    z = a[0] * b[1] - a[1] * b[0]
    return x * c[0] + y * c[1] + z * c[2]


@njit(**HELPER)
def _starts(i: Any, n: Any) -> Any:
    """Where the backward and the forward difference at i begin; the one that exists where the other does not."""
    return max(i - 1, 0), max(min(i, n - 2), 0)


@njit(**HELPER)
def _change(low: Any, k: Any, high: Any, m: Any, axis: Any) -> Any:
    """Column of the Jacobian: a difference along `axis`, of three components, from k of one line to m of another."""
    return (
        (high[0][m] - low[0][k]) + f32(axis == 0),
        (high[1][m] - low[1][k]) + f32(axis == 1),
        (high[2][m] - low[2][k]) + f32(axis == 2),
    )


@njit(**HELPER)
def _least_of_both(a: Any, b: Any, c: Any, d: Any) -> Any:
    """The lesser determinant of the columns a, b, c and of a, b, d."""
    x = a[1] * b[2] - a[2] * b[1]
    y = a[2] * b[0] - a[0] * b[2]
    z = a[0] * b[1] - a[1] * b[0]
    return min(x * c[0] + y * c[1] + z * c[2], x * d[0] + y * d[1] + z * d[2])


@njit(**HELPER)
def _lines(field: Any, i: Any, j: Any) -> Any:
    return field[0, i, j], field[1, i, j], field[2, i, j]


@njit(**HELPER)
def _corners(field: Any, i: Any, j: Any, out: Any) -> None:
    """Least determinants of the eight corners along a row, but for its ends."""
    _, ni, nj, nk = field.shape
    i0, i1 = _starts(i, ni)
    j0, j1 = _starts(j, nj)
    own, below, above = _lines(field, i, j), _lines(field, i0, j), _lines(field, min(i0 + 1, ni - 1), j)
    from_, to = _lines(field, i1, j), _lines(field, min(i1 + 1, ni - 1), j)
    left, right = _lines(field, i, j0), _lines(field, i, min(j0 + 1, nj - 1))
    start, end = _lines(field, i, j1), _lines(field, i, min(j1 + 1, nj - 1))
    for m in range(nk - 2):
        k = np.uint64(m + 1)
        a, b = _change(below, k, above, k, 0), _change(from_, k, to, k, 0)
        c, d = _change(left, k, right, k, 1), _change(start, k, end, k, 1)
        e, f = _change(own, np.uint64(m), own, k, 2), _change(own, k, own, np.uint64(m + 2), 2)
        least = min(_least_of_both(a, c, e, f), _least_of_both(a, d, e, f))
        out[k] = min(least, min(_least_of_both(b, c, e, f), _least_of_both(b, d, e, f)))


@njit(**HELPER)
def _edge(low: Any, k: Any, high: Any, m: Any) -> Any:
    return high[0][m] - low[0][k], high[1][m] - low[1][k], high[2][m] - low[2][k]


@njit(**HELPER)
def _stars(field: Any, i: Any, j: Any, s: Any, out: Any) -> None:
    """Lower a row to the determinants of the tetrahedra in the middle of the cubes above (s = 1) or below it (-1)."""
    own, both = _lines(field, i, j), _lines(field, i + s, j + s)
    along_i, along_j = _lines(field, i + s, j), _lines(field, i, j + s)
    one, half = f32(s), f32(0.5) * f32(s)
    first = 0 if s > 0 else 1
    for m in range(out.shape[0] - 1):
        k = np.uint64(m + first)
        n = np.uint64(m + 1 - first)
        a, b, c = _edge(own, k, both, k), _edge(own, k, along_j, n), _edge(own, k, along_i, n)
        a, b, c = (a[0] + one, a[1] + one, a[2]), (b[0], b[1] + one, b[2] + one), (c[0] + one, c[1], c[2] + one)
        out[k] = min(out[k], half * _determinant(a, b, c))


@njit(**HELPER)
def _moved_edges(field: Any, voxel: Any, t: Any, edges: Any) -> Any:
    """Edges of tetrahedron t after the map, in rows of `edges`; whether the grid has it."""
    for row in range(3):
        at = _vertex(field, voxel, t, row)
        if at[0] < 0:
            return False
        for c in range(3):
            own = field[c, voxel[0], voxel[1], voxel[2]]
            edges[row, c] = (field[c, at[0], at[1], at[2]] - own) + f32(EDGES[t, row, c])
    return True


@njit(**HELPER)
def _vertex(field: Any, voxel: Any, t: Any, row: Any) -> Any:
    """A vertex of tetrahedron t, the voxel itself along an axis of one voxel; -1 where the grid does not have it."""
    _, ni, nj, nk = field.shape
    i = voxel[0] + (EDGES[t, row, 0] if ni > 1 else 0)
    j = voxel[1] + (EDGES[t, row, 1] if nj > 1 else 0)
    k = voxel[2] + (EDGES[t, row, 2] if nk > 1 else 0)
    exists = 0 <= i < ni and 0 <= j < nj and 0 <= k < nk
    return (i, j, k) if exists else (-1, -1, -1)


@njit(**HELPER)
def _least_at(field: Any, voxel: Any, count: Any, edges: Any) -> Any:
    """Least determinant of the first `count` tetrahedra at a voxel."""
    least = f32(np.inf)
    for t in range(count):
        if _moved_edges(field, voxel, t, edges):
            least = min(least, f32(SCALES[t]) * _determinant(edges[0], edges[1], edges[2]))
    return least


@njit(**KERNEL)
def least_jacobian(first: Any, last: Any, field: Any, out: Any) -> None:
    """See `warpline.backends.interface.Backend.least_jacobian`."""
    _, ni, nj, nk = field.shape
    edges = np.empty((3, 3), np.float32)
    for i in range(first, last):
        for j in range(nj):
            _corners(field, i, j, out[i, j])
            for k in range(0, nk, max(nk - 1, 1)):
                out[i, j, k] = _least_at(field, (i, j, k), CORNERS, edges)
            for s in (-1, 1):
                if 0 <= i + s < ni and 0 <= j + s < nj:
                    _stars(field, i, j, s, out[i, j])


@njit(**HELPER)
def _raise_at(field: Any, voxel: Any, count: Any, bounds: Any, edges: Any, slopes: Any) -> None:
    """Move the vertices of every determinant at a voxel that is at most ``bounds[0]`` towards ``bounds[1]``."""
    for t in range(count):
        if not _moved_edges(field, voxel, t, edges):
            continue
        determinant, size = f32(SCALES[t]) * _determinant(edges[0], edges[1], edges[2]), f32(0)
        if determinant > bounds[0]:
            continue
        for c in range(3):
            m, n = (c + 1) % 3, (c + 2) % 3
            slopes[3, c] = 0
            for row in range(3):
                p, q = edges[(row + 1) % 3], edges[(row + 2) % 3]
                scale = f32(SCALES[t] if field.shape[row + 1] > 1 else 0)  # 0 where that vertex is the voxel itself
                slopes[row, c] = scale * (p[m] * q[n] - p[n] * q[m])
                slopes[3, c] -= slopes[row, c]
            for row in range(4):
                size += slopes[row, c] * slopes[row, c]
        step = f32(RELAXATION) * (bounds[1] - determinant) / max(size, f32(LEAST_SLOPE))
        step = min(step, f32(LONGEST_STEP) / np.sqrt(max(size, TINY)))
        for row in range(4):
            at = _vertex(field, voxel, t, row) if row < 3 else voxel
            for c in range(3):
                field[c, at[0], at[1], at[2]] += step * slopes[row, c]


@njit(**HELPER)
def _indices(flat: Any, shape: Any) -> Any:
    return flat // (shape[1] * shape[2]), flat // shape[2] % shape[1], flat % shape[2]


@njit(**HELPER)
def _queue_around(voxel: Any, shape: Any, queued: Any, queue: Any, length: Any) -> Any:
    """Append the voxels at most two from a voxel along every axis that are not in the queue; returns its length."""
    for i in range(max(voxel[0] - 2, 0), min(voxel[0] + 3, shape[0])):
        for j in range(max(voxel[1] - 2, 0), min(voxel[1] + 3, shape[1])):
            for k in range(max(voxel[2] - 2, 0), min(voxel[2] + 3, shape[2])):
                flat = (i * shape[1] + j) * shape[2] + k
                if not queued[flat]:
                    queued[flat] = True
                    queue[length] = flat
                    length += 1
    return length


@njit(**KERNEL)
def unfold(field: Any, low: Any, bounds: Any, sweeps: Any, queued: Any) -> None:
    """See `warpline.backends.interface.Backend.unfold`.

    Only voxels near those with `low` determinants, (N,) flat indices, are looked at, in one thread: they are few.
    `queued`, one for each voxel, is False before and after.
    """
    shape = field.shape[1:]
    count = CORNERS if min(shape[0], min(shape[1], shape[2])) == 1 else len(EDGES)
    edges, slopes = np.empty((3, 3), np.float32), np.empty((4, 3), np.float32)
    for _ in range(sweeps):
        for colour in range(27):
            for n in range(len(low)):
                i, j, k = _indices(low[n], shape)
                if (i % 3) * 9 + (j % 3) * 3 + k % 3 == colour:
                    _raise_at(field, (i, j, k), count, bounds, edges, slopes)
        queue, length = np.empty(min(NEAR * len(low), len(queued)), np.int64), np.int64(0)
        for n in range(len(low)):
            length = _queue_around(_indices(low[n], shape), shape, queued, queue, length)
        low, left = queue, 0
        for n in range(length):
            queued[queue[n]] = False
            if _least_at(field, _indices(queue[n], shape), count, edges) <= bounds[0]:
                low[left] = queue[n]
                left += 1
        if left == 0:
            return
        low = low[:left]
