"""Jacobian determinants of the ten tetrahedra at a voxel, in plain NumPy, and how to raise them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Array
from warpline.backends.tetrahedra import CORNERS, EDGES, LEAST_SLOPE, LONGEST_STEP, RELAXATION, SCALES

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


def least_determinants(field: Array, voxels: Indices) -> Doubles:
    """Least determinant at voxels (N, 3) of a field (3, I, J, K) in voxels: (N,)."""
    least, own = np.full(len(voxels), np.inf), _vectors_at(field, voxels)
    for edges, scale in _tetrahedra(field.shape[1:]):
        exists, vertices = _vertices(field.shape[1:], voxels, edges)
        determinant = scale * _determinant(*_moved_edges(field, own, vertices, edges))
        least = np.where(exists, np.minimum(least, determinant), least)
    return least


def least_jacobian(field: Array) -> Doubles:
    """Least determinant at every voxel, (I, J, K)."""
    shape = field.shape[1:]
    plane = np.argwhere(np.ones((1, *shape[1:]), np.bool_))
    return np.stack([least_determinants(field, plane + (i, 0, 0)).reshape(shape[1:]) for i in range(shape[0])])


def unfold(field: Array, bounds: tuple[float, float], sweeps: int, least: Array | None = None) -> None:
    """See `warpline.backends.interface.Backend.unfold`."""
    least = least_jacobian(field) if least is None else least
    limit, target = bounds
    for _ in range(sweeps):
        low = np.argwhere(least <= limit)
        if not len(low):
            return
        for colour in np.ndindex(3, 3, 3):
            _raise_all(field, low[(low % 3 == colour).all(axis=1)], limit, target)
        near = _within_two(low, least.shape)
        least[tuple(near.T)] = least_determinants(field, near)


def _raise_all(field: Array, voxels: Indices, limit: float, target: float) -> None:
    """Move the vertices of every determinant at most `limit`; no two of the voxels share a vertex."""
    for edges, scale in _tetrahedra(field.shape[1:]):
        exists, vertices = _vertices(field.shape[1:], voxels, edges)
        moved = _moved_edges(field, _vectors_at(field, voxels), vertices, edges)
        determinant = scale * _determinant(*moved)
        slopes = scale * np.stack([_cross(moved[(row + 1) % 3], moved[(row + 2) % 3]) for row in range(3)])
        slopes[np.array(field.shape[1:]) == 1] = 0  # that vertex is the voxel itself
        slopes = np.concatenate([slopes, -slopes.sum(axis=0, keepdims=True)])
        size = np.square(slopes).sum(axis=(0, 1))
        step = RELAXATION * (target - determinant) / np.maximum(size, LEAST_SLOPE)
        step = np.minimum(step, LONGEST_STEP / np.sqrt(np.maximum(size, np.finfo(np.float32).tiny)))
        step = np.where(exists & (determinant <= limit), step, 0)
        for at, slope in zip((*vertices, voxels), slopes, strict=True):
            field[(slice(None), *at.T)] += (step * slope).astype(np.float32)


def _cross(b: Doubles, c: Doubles) -> Doubles:
    """Cross products of vectors (3, N)."""
    return np.stack([b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]])


def _determinant(a: Doubles, b: Doubles, c: Doubles) -> Doubles:
    """Of the matrices with these rows (3, N): (N,)."""
    found: Doubles = np.einsum("cn,cn->n", a, _cross(b, c))
    return found


def _tetrahedra(shape: tuple[int, ...]) -> Iterator[tuple[Indices, float]]:
    """Edges (3, 3) and scale of the tetrahedra that a grid has; one of a single plane has only corners."""
    count = CORNERS if min(shape) == 1 else len(EDGES)
    return zip(EDGES[:count], SCALES[:count], strict=True)


def _vertices(shape: tuple[int, ...], voxels: Indices, edges: Indices) -> tuple[NDArray[np.bool_], list[Indices]]:
    """Whether the grid has the vertices, and where; along an axis of one voxel all of them are the voxel itself."""
    last, exists, vertices = np.array(shape) - 1, np.ones(len(voxels), np.bool_), []
    for edge in edges:
        at = voxels + edge * (last > 0)
        exists &= ((at >= 0) & (at <= last)).all(axis=1)
        vertices.append(at.clip(0, last))
    return exists, vertices


def _moved_edges(field: Array, own: Doubles, vertices: list[Indices], edges: Indices) -> Doubles:
    """Edges of a tetrahedron after the map: (3, 3, N), the components of each along the second axis.

    `own` are the vectors (3, N) of the field at the vertex that the edges share.
    """
    return np.stack([_vectors_at(field, at) - own + edge[:, None] for at, edge in zip(vertices, edges, strict=True)])


def _vectors_at(field: Array, voxels: Indices) -> Doubles:
    """A field at voxels (N, 3): (3, N)."""
    flat = np.ravel_multi_index(tuple(voxels.T), field.shape[1:])
    return np.asarray(field.reshape(3, -1).take(flat, axis=1), dtype=np.float64)


def _within_two(voxels: Indices, shape: tuple[int, ...]) -> Indices:
    """Voxels at most two from any of these along every axis, each once: (M, 3)."""
    around = voxels[:, None] + (np.argwhere(np.ones((5, 5, 5), np.bool_)) - 2)
    inside = around[((around >= 0) & (around < shape)).all(axis=-1)]
    return np.stack(np.unravel_index(np.unique(np.ravel_multi_index(tuple(inside.T), shape)), shape), axis=1)
