"""The ten tetrahedra at a voxel whose volumes say whether a map of a grid can be inverted.

Liu et al. 2024 (doi:10.1007/s11263-024-02047-1) call a map of a grid a digital diffeomorphism where the Jacobian
determinants of all of them are above 0: the eight corners of the voxel, which are the one-sided differences, and the
two tetrahedra between the corners of the cubes above and below it. Central differences miss folds, as they leave out
the voxel itself; their determinant is the mean of those of the eight corners.

A sweep of `Backend.unfold` takes the voxels that have a low determinant at its start, in 27 groups by their indices
modulo 3, within which no vertex is shared, and moves the four vertices of each low one along its slopes. What it raises
may lower others, so that it is repeated.
"""

from __future__ import annotations

import numpy as np

CORNERS = 8
"""Tetrahedra that are one-sided differences; the others follow."""

_SIGNS = 1 - 2 * ((np.arange(CORNERS)[:, None] >> np.arange(3)) & 1)

EDGES = np.concatenate([_SIGNS[:, :, None] * np.eye(3, dtype=np.int64), [1 - np.eye(3, dtype=np.int64)[[2, 0, 1]]] * 2])
EDGES[-1] *= -1
"""(10, 3, 3): from the voxel to the three other vertices, along the axes of the grid."""

SCALES = 1 / np.linalg.det(EDGES)
"""(10,): factors by which the determinants of moved edges become those of the Jacobian, which are 1 without motion."""

RELAXATION = 1.5
"""Factor on the shortest step that brings a determinant to its target: neighbours undo a part of it."""

LONGEST_STEP = 0.5
"""Most that one determinant moves its four vertices by, in voxels."""

LEAST_SLOPE = 0.01
"""Least squared slope of a determinant that a step is divided by."""
