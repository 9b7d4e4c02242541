"""Known motions of a brain, and how far a map is from them."""

from __future__ import annotations

import numpy as np

from warpline.backends import select
from warpline.images import Image
from warpline.resampling import warp
from warpline.space import Affine
from warpline.space.grid import apply_affine

CENTRE = np.array([4.0, -6.0, 3.0])


def moved_by(brain, transform, theta):
    """The brain displaced so that the static to moving map is known: a transform about a point inside it."""
    shift = np.eye(4)
    shift[:3, 3] = CENTRE
    truth = shift @ transform.param_to_matrix(theta) @ np.linalg.inv(shift)
    moving = warp(brain, Affine(np.linalg.inv(truth)), brain.grid, backend=select("numpy"))
    return truth, moving.data


def error(matrix, truth, brain: Image):
    points = apply_affine(brain.affine, np.argwhere(brain.data > 0.1)[::50])
    return np.linalg.norm(apply_affine(matrix, points) - apply_affine(truth, points), axis=1).mean()
