"""Grids: voxels, world points, boxes and the matrices between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from warpline.errors import InputError
from warpline.space.grid import Grid, apply_affine, check_affine

SIZES = st.tuples(*[st.integers(1, 30)] * 3)


@st.composite
def affines(draw):
    """Oblique voxel-to-world matrices of either handedness, voxels of 0.5 to 5 mm."""
    number = st.floats(-3, 3, allow_nan=False, width=32)
    turn = Rotation.from_rotvec([draw(number) for _ in range(3)]).as_matrix()
    size = [draw(st.floats(0.5, 5)) * draw(st.sampled_from((-1, 1))) for _ in range(3)]
    matrix = np.eye(4)
    matrix[:3, :3] = turn * size
    matrix[:3, 3] = [draw(st.floats(-100, 100)) for _ in range(3)]
    return matrix


GRIDS = st.builds(Grid, SIZES, affines())


def voxels_of(grid):
    return np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3)


def test_apply_affine_is_the_homogeneous_product():
    matrix = np.random.default_rng(0).normal(size=(4, 4))
    matrix[3] = (0, 0, 0, 1)
    points = np.random.default_rng(1).normal(size=(2, 5, 3))
    expected = np.einsum("ij,abj->abi", matrix, np.concatenate([points, np.ones((2, 5, 1))], -1))[..., :3]
    np.testing.assert_allclose(apply_affine(matrix, points), expected, atol=1e-13)
    assert apply_affine(matrix, [1, 2, 3]).shape == (3,)


@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_nearest_axes_are_those_that_run_along_the_world(tilt):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec([tilt, -tilt, tilt]).as_matrix() @ ((0, 0, 5), (-2, 0, 0), (0, 1, 0))
    assert Grid((4, 5, 6), matrix).nearest_axes == ((2, 0, 1), (1, -1, 1))


@pytest.mark.parametrize(("matrix", "words"), [
    (np.eye(3), r"sform has shape \(3, 3\)"),
    (np.diag([1, 1, np.nan, 1]), "sform has NaN or infinite"),
    (np.diag([1, np.inf, 1, 1]), "sform has NaN or infinite"),
    (np.diag([1.0, 1, 1, 2]), "sform ends in the row"),
    (np.diag([1.0, 0, 1, 1]), "sform is singular"),
    (np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "sform is singular"),
])  # fmt: skip
def test_matrices_that_are_no_affine_are_named(matrix, words):
    with pytest.raises(InputError, match=words):
        check_affine(matrix, "sform")


def test_small_voxels_are_not_singular():
    np.testing.assert_array_equal(check_affine(np.diag([1e-4, 1e-4, 1e-4, 1])), np.diag([1e-4, 1e-4, 1e-4, 1]))


def test_a_grid_keeps_its_own_matrix():
    mine = np.eye(4)
    grid = Grid((2, 3, 4), mine)
    mine[0, 3] = 7
    assert grid.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 3] = 1


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 0), (3, 4, 5, 6)])
def test_shapes_that_are_no_grid_are_refused(shape):
    with pytest.raises(InputError, match="three sizes of at least 1"):
        Grid(shape, np.eye(4))


@given(GRIDS)
def test_voxel_size_centre_and_corners_follow_from_the_voxels(grid):
    world = apply_affine(grid.affine, voxels_of(grid))
    np.testing.assert_allclose(grid.centre, world.mean(axis=0), atol=1e-9)
    steps = [np.linalg.norm(apply_affine(grid.affine, e) - grid.affine[:3, 3]) for e in np.eye(3)]
    np.testing.assert_allclose(grid.voxel_size, steps, rtol=1e-9)
    assert grid.corners().shape == (8, 3)
    back = apply_affine(grid.inverse_affine, grid.corners())
    np.testing.assert_allclose(back.min(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(back.max(axis=0), np.array(grid.shape) - 1, atol=1e-9)


@given(GRIDS, GRIDS)
def test_voxel_map_goes_through_the_world(grid, other):
    points = voxels_of(grid)[:50]
    world = apply_affine(grid.affine, points)
    there = apply_affine(grid.voxel_map_to(other), points)
    np.testing.assert_allclose(apply_affine(other.affine, there), world, atol=1e-8)


def test_voxel_map_puts_the_world_matrix_between_the_grids():
    grid, other = Grid((5, 5, 5), np.diag([2.0, 3, 4, 1])), Grid((5, 5, 5), np.diag([-1.0, 1, 2, 1]))
    shift = np.eye(4)
    shift[:3, 3] = (10, 0, 2)
    np.testing.assert_allclose(apply_affine(grid.voxel_map_to(other, shift), (1, 1, 1)), (-12, 3, 3))


@given(GRIDS, st.data())
def test_a_cropped_voxel_stays_at_its_place(grid, data):
    start = [data.draw(st.integers(-5, n - 1)) for n in grid.shape]
    stop = [data.draw(st.integers(a + 1, a + 12)) for a in start]
    part = grid.cropped(tuple(start), tuple(stop))
    assert part.shape == tuple(b - a for a, b in zip(start, stop, strict=True))
    ends = np.array([[0, 0, 0], np.array(part.shape) - 1])
    np.testing.assert_allclose(apply_affine(part.affine, ends), apply_affine(grid.affine, ends + start), atol=1e-8)


@given(GRIDS, SIZES)
def test_a_resized_grid_fills_the_same_box(grid, shape):
    other = grid.resized(shape)
    for corner in (0.0, 1.0):
        ours = apply_affine(grid.affine, corner * np.array(grid.shape) - 0.5)
        np.testing.assert_allclose(apply_affine(other.affine, corner * np.array(shape) - 0.5), ours, atol=1e-8)
    assert other.shape == shape


@given(GRIDS)
def test_equality_allows_rounding_of_a_file_but_no_shift(grid):
    assert grid == Grid(grid.shape, np.float32(grid.affine).astype(float)) or np.abs(grid.affine).max() > 300
    shifted = grid.affine.copy()
    shifted[0, 3] += 0.01 * grid.voxel_size.min()
    assert grid != Grid(grid.shape, shifted)
    assert grid != Grid((grid.shape[0] + 1, *grid.shape[1:]), grid.affine)
    assert grid != grid.shape


def test_equality_counts_the_far_corner():
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_rotvec([0, 0, 2e-5]).as_matrix()
    assert Grid((3, 3, 3), np.eye(4)) == Grid((3, 3, 3), turned)
    assert Grid((300, 300, 3), np.eye(4)) != Grid((300, 300, 3), turned)


def test_volume_of_a_voxel_is_an_area_in_2d():
    affine = np.diag([2.0, -3.0, 5.0, 1.0])
    affine[0, 1] = 1.0
    assert Grid((4, 4, 4), affine).voxel_volume == pytest.approx(30)
    assert Grid((4, 4, 1), affine, flat=True).voxel_volume == pytest.approx(6)
