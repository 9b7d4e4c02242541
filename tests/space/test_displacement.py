"""Displacement fields as maps of world points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import map_coordinates

from drawn_transforms import GRID, SHAPE, WARPS, warp_of
from warpline.errors import InputError
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid, apply_affine


@given(WARPS)
def test_at_a_voxel_a_displacement_adds_its_vector(warp):
    world = apply_affine(GRID.affine, np.moveaxis(np.indices(SHAPE), 0, -1))
    expected = world + np.moveaxis(warp.field, 0, -1)
    np.testing.assert_allclose(warp.map_points(world), expected, atol=1e-5)


@given(WARPS, arrays(np.float64, (7, 3), elements=st.floats(0, 1)))
def test_between_voxels_it_is_linear_along_each_axis(warp, share):
    voxels = share * (np.array(SHAPE) - 1)
    world = apply_affine(GRID.affine, voxels)
    vectors = np.stack([map_coordinates(np.float64(u), voxels.T, order=1) for u in warp.field], -1)
    np.testing.assert_allclose(warp.map_points(world), world + vectors, atol=1e-5)


def test_a_displacement_is_zero_beyond_the_outer_faces():
    ones = Displacement(np.ones((3, 4, 5, 6), np.float32), Grid((4, 5, 6), np.diag([2.0, 2, 2, 1])))
    for voxel, moves in ((-0.49, True), (-0.51, False), (3.49, True), (3.51, False)):
        point = np.array([2 * voxel, 2, 2])
        np.testing.assert_array_equal(ones.map_points(point), point + moves)


def test_components_are_along_the_axes_of_the_world():
    field = np.zeros((3, *SHAPE), np.float32)
    field[1] = 2.5
    middle = GRID.centre
    np.testing.assert_allclose(Displacement(field, GRID).map_points(middle), middle + (0, 2.5, 0), atol=1e-6)


def test_shapes_of_points_are_kept():
    warp = warp_of(0)
    for shape in ((3,), (4, 3), (2, 5, 3), (0, 3)):
        points = np.full(shape, 1.5)
        for transform in (Affine.identity(), warp, Chain((warp, Affine.identity()))):
            assert transform.map_points(points).shape == shape
    assert warp.map_points([1, 2, 3]).dtype == np.float64


def test_the_inverse_of_a_displacement_swaps_its_fields():
    warp = warp_of(3)
    assert warp.inverse().field is warp.inverse_field
    assert warp.inverse().inverse().field is warp.field
    with pytest.raises(InputError, match="has no inverse yet"):
        Displacement(warp.field, GRID).inverse()


@pytest.mark.parametrize("which", ["field", "inverse_field"])
def test_a_field_of_another_shape_is_refused(which):
    shapes = {"field": np.zeros((3, *SHAPE), np.float32), "inverse_field": None}
    shapes[which] = np.zeros((3, 12, 11, 9), np.float32)
    with pytest.raises(InputError, match=r"\(3, 12, 11, 9\); \(3, 12, 11, 10\) is needed"):
        Displacement(shapes["field"], GRID, shapes["inverse_field"])
