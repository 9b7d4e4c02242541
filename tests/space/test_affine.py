"""Affine maps of world points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from drawn_transforms import POINTS, affine_maps
from warpline.errors import InputError
from warpline.space import Affine, Chain
from warpline.space.grid import apply_affine


@given(affine_maps(), POINTS)
def test_an_affine_maps_by_its_matrix_and_its_inverse_undoes_it(affine, points):
    np.testing.assert_array_equal(affine.map_points(points), apply_affine(affine.matrix, points))
    np.testing.assert_allclose(affine.inverse().map_points(affine.map_points(points)), points, atol=1e-9)
    np.testing.assert_allclose(affine.inverse().inverse().matrix, affine.matrix, atol=1e-9)


@given(affine_maps(), affine_maps(), affine_maps(), POINTS)
def test_products_apply_the_right_affine_first(a, b, c, points):
    np.testing.assert_allclose((a @ b).map_points(points), a.map_points(b.map_points(points)), atol=1e-8)
    np.testing.assert_allclose(((a @ b) @ c).matrix, (a @ (b @ c)).matrix, atol=1e-9)
    np.testing.assert_allclose((a @ b).inverse().matrix, (b.inverse() @ a.inverse()).matrix, atol=1e-8)


def test_the_identity_moves_nothing():
    points = np.random.default_rng(0).normal(size=(2, 3, 3))
    np.testing.assert_array_equal(Affine.identity().map_points(points), points)
    np.testing.assert_array_equal(Chain().map_points(points), points)


def test_a_matrix_that_flattens_space_is_no_transform():
    with pytest.raises(InputError, match="transform matrix is singular"):
        Affine(np.diag([1.0, 1, 0, 1]))
