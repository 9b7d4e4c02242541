"""Vectors are interpolated and turned with the anatomy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import polar
from scipy.spatial.transform import Rotation

from oblique_pair import FIXED, MOVING, smooth_field
from warpline.errors import InputError
from warpline.images import Image
from warpline.resampling import warp_vectors
from warpline.resampling.vectors import nearest_rotation
from warpline.space import Affine, Chain


def rotation(angles):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    return Affine(matrix)


def field_of(vector, grid):
    return Image(np.broadcast_to(np.float32(vector), (*grid.shape, 3)).copy(), grid)


def test_a_rotation_turns_vectors_back(backend):
    turn = rotation((20, -35, 50))
    warped = warp_vectors(field_of((1, 2, 3), MOVING), turn, FIXED, backend=backend).data
    seen = np.abs(warped).sum(axis=-1) > 0
    expected = turn.matrix[:3, :3].T @ (1, 2, 3)
    assert seen.any()
    np.testing.assert_allclose(warped[seen], np.broadcast_to(expected, warped[seen].shape), atol=1e-5)


def test_strain_keeps_lengths_and_turns_by_the_nearest_rotation(backend):
    stretch = Affine(np.diag([1.3, 0.8, 1.1, 1.0]) + np.array([[0, 0.2, 0, 0]] + [[0] * 4] * 3))
    warped = warp_vectors(field_of((0, 1, 0), MOVING), stretch, FIXED, backend=backend).data
    seen = np.abs(warped).sum(axis=-1) > 0
    turn, _ = polar(stretch.matrix[:3, :3])
    np.testing.assert_allclose(warped[seen], np.broadcast_to(turn.T @ (0, 1, 0), warped[seen].shape), atol=1e-5)


def test_a_field_turns_by_its_derivative_along_world_axes(backend):
    """On an oblique grid, against differences of mapped points."""
    chain = Chain((smooth_field(FIXED), rotation((10, 5, -15))))
    warped = warp_vectors(field_of((1, 0, 0), MOVING), chain, FIXED, backend=backend).data
    world = FIXED.affine[:3, :3]
    for voxel in ((6, 5, 4), (3, 7, 6), (9, 3, 3)):
        ahead, behind = (
            np.stack([chain.map_points(FIXED.affine[:3, :3] @ (voxel + s * np.eye(3)[a]) + FIXED.affine[:3, 3])
                      for a in range(3)], axis=1)
            for s in (1, -1)
        )  # fmt: skip
        derivative = (ahead - behind) / 2 @ np.linalg.inv(world)
        np.testing.assert_allclose(warped[voxel], polar(derivative)[0].T @ (1, 0, 0), atol=1e-4)


def test_nearest_rotation_is_the_polar_factor():
    matrices = np.random.default_rng(0).normal(size=(3, 3, 200))
    found = nearest_rotation(matrices)
    for n in range(matrices.shape[-1]):
        if abs(np.linalg.det(matrices[..., n])) > 0.05:
            np.testing.assert_allclose(found[..., n], polar(matrices[..., n])[0], atol=1e-6)


def test_a_singular_derivative_gives_no_nan():
    assert np.isfinite(nearest_rotation(np.zeros((3, 3, 2)))).all()


def test_other_images_are_refused(numpy_backend):
    with pytest.raises(InputError, match="three components per voxel"):
        warp_vectors(Image(np.zeros((2, 2, 2, 4)), FIXED.cropped((0, 0, 0), (2, 2, 2))), Affine.identity(), FIXED,
                     backend=numpy_backend)  # fmt: skip
