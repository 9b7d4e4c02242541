"""Affines, displacement fields and chains as maps of world points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import map_coordinates

from drawn_transforms import GRID, PARTS, POINTS, SHAPE, WARPS, affine_maps, warp_of
from synthetic import fading_field
from warpline.backends import select
from warpline.errors import InputError
from warpline.space import Affine, Chain, Displacement, fields
from warpline.space.grid import Grid, apply_affine
from warpline.space.inversion import invert_field


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


@given(st.lists(PARTS, max_size=4), POINTS)
def test_points_go_through_a_chain_in_order(parts, points):
    expected = points
    for part in parts:
        expected = part.map_points(expected)
    np.testing.assert_array_equal(Chain(tuple(parts)).map_points(points), expected)


@given(PARTS, PARTS, PARTS, POINTS)
def test_chains_associate(a, b, c, points):
    whole = Chain((a, b, c)).map_points(points)
    np.testing.assert_array_equal(Chain((b, c)).map_points(a.map_points(points)), whole)
    np.testing.assert_array_equal(c.map_points(Chain((a, b)).map_points(points)), whole)


@given(st.lists(affine_maps(), max_size=4), POINTS)
def test_a_chain_of_affines_is_their_product(parts, points):
    product = Affine.identity()
    for part in parts:
        product = part @ product
    chain = Chain(tuple(parts))
    np.testing.assert_allclose(chain.map_points(points), product.map_points(points), atol=1e-8)
    np.testing.assert_allclose(chain.inverse().map_points(chain.map_points(points)), points, atol=1e-7)


@given(st.lists(PARTS, min_size=2, max_size=4), POINTS)
def test_the_inverse_chain_runs_backwards(parts, points):
    inverse = Chain(tuple(parts)).inverse()
    expected = points
    for part in reversed(parts):
        expected = part.inverse().map_points(expected)
    np.testing.assert_array_equal(inverse.map_points(points), expected)


@settings(max_examples=10)
@given(st.integers(0, 50), affine_maps())
def test_warp_and_affine_there_and_back_end_where_they_began(seed, affine):
    numpy_backend = select("numpy")
    voxels = fading_field(SHAPE, seed, largest=1.0)
    inverse, _ = invert_field(voxels, numpy_backend)
    chain = Chain((Displacement(fields.to_world(voxels, GRID), GRID, fields.to_world(inverse, GRID)), affine))
    share = np.random.default_rng(seed).uniform(0.05, 0.95, (200, 3))
    points = apply_affine(GRID.affine, share * (np.array(SHAPE) - 1))
    missed = np.linalg.norm(chain.inverse().map_points(chain.map_points(points)) - points, axis=1)
    assert missed.mean() < 0.03 * GRID.voxel_size.max()


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
