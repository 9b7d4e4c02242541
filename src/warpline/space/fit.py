"""The affine map that fits a displacement best."""

from __future__ import annotations

import numpy as np

from warpline.space.grid import apply_affine
from warpline.space.transforms import Affine, Displacement

_LEAST_DETERMINANT = 1e-3
"""Determinant below which a fit is taken for singular."""


def fit_affine(part: Displacement) -> Affine | None:
    """The affine map nearest to a displacement over its grid, by least squares; None for a slice or a singular fit."""
    axes = tuple(np.arange(0, n, max(1, n // 16)) for n in part.grid.shape)
    start = apply_affine(part.grid.affine, np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3))
    moved = start + part.field[np.ix_(np.arange(3), *axes)].reshape(3, -1).T
    middle = start.mean(axis=0)
    known = np.column_stack([start - middle, np.ones(len(start))])
    solution, _, rank, _ = np.linalg.lstsq(known, moved - middle, rcond=None)
    if rank < 4 or abs(np.linalg.det(solution[:3])) < _LEAST_DETERMINANT:
        return None
    matrix = np.eye(4)
    matrix[:3, :3] = solution[:3].T
    matrix[:3, 3] = middle + solution[3] - matrix[:3, :3] @ middle
    return Affine(matrix)
