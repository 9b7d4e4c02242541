"""Chains: their order, products and inverses."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_transforms import GRID, PARTS, POINTS, SHAPE, affine_maps
from synthetic import fading_field
from warpline.backends import select
from warpline.space import Affine, Chain, Displacement, fields
from warpline.space.grid import apply_affine
from warpline.space.inversion import invert_field


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
