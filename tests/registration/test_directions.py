"""Directions along which points may move: of vectors, of fields, and of whole registrations."""

from __future__ import annotations

import numpy as np
import pytest

from made_registrations import FIXED_AFFINE, QUICK
from oblique_pair import FIXED
from synthetic import ellipsoid, pair_with_known_map, smooth_field
from warpline import register
from warpline.errors import UsageError
from warpline.images import Image
from warpline.recipe import Recipe
from warpline.registration.directions import Projection, allowed_directions
from warpline.space import Affine, fields
from warpline.space.grid import Grid

SHAPE = (28, 26, 24)
OBLIQUE = Grid(SHAPE, np.array([[1.5, 0.2, 0, -20], [-0.2, 1.6, 0.3, -19], [0, -0.3, 1.8, -22], [0, 0, 0, 1.0]]))
WORLD = (1.0, -2.0, 0.5)
SYN_ALONE = QUICK.with_options("linear=none", "syn.iterations=[40, 20]")


def axes_of(grid, letters):
    """Unit vectors (n, 3) in the world along axes of a grid."""
    columns = grid.affine[:3, ["ijk".index(letter) for letter in letters]].T
    return columns / np.linalg.norm(columns, axis=1, keepdims=True)


def test_one_axis_allows_its_direction_alone():
    direction = axes_of(FIXED, "j")[0]
    np.testing.assert_allclose(allowed_directions("j", FIXED), np.outer(direction, direction), atol=1e-12)


def test_two_axes_allow_their_plane():
    projection = allowed_directions("ij", FIXED)
    in_plane = axes_of(FIXED, "ij")
    np.testing.assert_allclose(in_plane @ projection, in_plane, atol=1e-12)
    np.testing.assert_allclose(np.cross(*in_plane) @ projection, 0, atol=1e-12)


def test_a_direction_of_the_world_is_taken_whatever_its_length():
    unit = np.array(WORLD) / np.linalg.norm(WORLD)
    for length in (1.0, -30.0):
        found = allowed_directions(tuple(length * np.array(WORLD)), FIXED)
        np.testing.assert_allclose(found, np.outer(unit, unit), atol=1e-12)


@pytest.mark.parametrize("directions", ["i", "ik", WORLD])
def test_allowed_vectors_stay_and_others_go(backend, directions):
    grid, allowed = OBLIQUE, allowed_directions(directions, OBLIQUE)
    world = [np.float64(smooth_field(SHAPE, seed, 2.0)) for seed in (1, 2)]
    inside = [np.einsum("ab,bijk->aijk", allowed, field) for field in world]
    for parts, expected in (
        (inside, inside),
        (world, inside),
        ([field - part for field, part in zip(world, inside, strict=True)], [np.zeros_like(world[0])] * 2),
    ):
        given = backend.upload(np.stack([fields.to_voxels(np.float32(part), grid) for part in parts]))
        Projection(allowed, grid, backend).project(given, backend.empty(given.shape))
        found = [fields.to_world(field, grid) for field in np.array(backend.download(given))]
        # Sums of three products of float32, of vectors of up to 2 mm, and the turn to voxels and back.
        np.testing.assert_allclose(found, expected, atol=16 * 2 * np.finfo(np.float32).eps)


def test_an_axis_of_the_grid_is_kept_exactly(backend):
    field = smooth_field(SHAPE, 3)[None]
    given = backend.upload(field.copy())
    Projection(allowed_directions("j", Grid(SHAPE, FIXED_AFFINE)), Grid(SHAPE, FIXED_AFFINE), backend).project(
        given, backend.empty(field.shape)
    )
    found = np.array(backend.download(given))
    np.testing.assert_array_equal(found[0, 1], field[0, 1])
    assert not found[0, [0, 2]].any()


def registered(grid, directions, backend="numba"):
    """The warp and its inverse (2, n, 3), vectors in mm, of images that need all directions."""
    inside = ellipsoid(grid.shape, 0.38)
    images = [
        Image(np.where(inside, volume + 0.5, 0).astype(np.float32), grid)
        for volume in pair_with_known_map(grid.shape, 4, 2.0)[:2]
    ]
    value = list(directions) if isinstance(directions, tuple) else directions
    recipe = SYN_ALONE.with_options(f"syn.directions={value}")
    found = register(*images, recipe, initial=Affine.identity(), backend=backend, threads=1)
    warp = found.alignment.warp
    assert found.report["quality"]["folded_voxels"] == 0
    return np.stack([np.float64(field).reshape(3, -1).T for field in (warp.field, warp.inverse_field)])


@pytest.mark.parametrize("grid", [Grid(SHAPE, FIXED_AFFINE), OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("directions", ["j", WORLD])
def test_maps_move_points_along_one_direction(grid, directions):
    vectors = registered(grid, directions)
    unit = axes_of(grid, "j")[0] if directions == "j" else np.array(WORLD) / np.linalg.norm(WORLD)
    along = vectors @ unit
    assert np.abs(along).max() > 0.5
    assert np.linalg.norm(vectors - along[..., None] * unit, axis=-1).max() < 1e-5


def test_maps_move_points_in_a_plane():
    vectors = registered(OBLIQUE, "ik")
    normal = np.cross(*axes_of(OBLIQUE, "ik"))
    assert np.ptp(vectors @ axes_of(OBLIQUE, "i")[0]) > 0.3 and np.ptp(vectors @ axes_of(OBLIQUE, "k")[0]) > 0.3
    assert np.abs(vectors @ normal).max() < 1e-5


def test_slices_are_moved_along_one_axis():
    vectors = registered(Grid((44, 40, 1), np.eye(4)), "i")
    assert np.abs(vectors[..., 0]).max() > 0.5
    assert not vectors[..., 1:].any()


@pytest.mark.parametrize("directions", ["k", "ik", (0.0, 0.3, 1.0)])
def test_directions_stay_in_the_plane_of_a_slice(directions):
    with pytest.raises(UsageError, match="moves points along axis k of the fixed image, which has one voxel"):
        allowed_directions(directions, Grid((9, 8, 1), np.eye(4)))


def test_a_budget_has_no_directions():
    with pytest.raises(UsageError, match="leave out the budget"):
        Recipe.load("syn").with_options("syn.directions=j", "budget.max_bending=0.1")


@pytest.mark.parametrize("text", ["x", "ijk", "[0, 0, 0]", "[1, 2]", "2", "true", "[1, nan, 0]", '["a", 1, 2]'])
def test_other_directions_are_refused_in_words(text):
    with pytest.raises(UsageError, match=r"syn\.directions = .*axes of the fixed image, or a direction of the world"):
        Recipe.load("syn").with_options(f"syn.directions={text}")
