"""Transforms and points that Hypothesis draws."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from synthetic import smooth_field
from warpline.space import Affine, Displacement, fields
from warpline.space.grid import Grid

SHAPE = (12, 11, 10)


POINTS = arrays(np.float64, (7, 3), elements=st.floats(-60, 60))


def oblique(size=(2.0, 1.5, 3.0), flip=1):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix() * size
    affine[:, 0] *= flip
    affine[:3, 3] = (-12, 9, 4)
    return affine


GRID = Grid(SHAPE, oblique(flip=-1))


@st.composite
def affine_maps(draw):
    """Turn, stretch, shear and shift, mirrored or not."""
    number = st.floats(-1, 1)
    turn = Rotation.from_rotvec([3 * draw(number) for _ in range(3)]).as_matrix()
    stretch = np.diag([draw(st.floats(0.5, 2)) * draw(st.sampled_from((-1, 1))) for _ in range(3)])
    stretch[0, 1], stretch[1, 2] = draw(number), draw(number)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn @ stretch, [30 * draw(number) for _ in range(3)]
    return Affine(matrix)


def warp_of(seed, grid=GRID):
    """A random field of about a voxel, with another random one as its claimed inverse."""
    first, second = (fields.to_world(smooth_field(grid.shape, s), grid) for s in (seed, seed + 1))
    return Displacement(first, grid, second)


WARPS = st.builds(warp_of, st.integers(0, 20))


PARTS = st.one_of(affine_maps(), WARPS)
