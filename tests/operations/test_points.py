"""Points go where they are told to."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenes import FIXED, MOVING, TURN, fading, smooth_field
from warpline.errors import InputError, UsageError
from warpline.io.transform_files import write_transform
from warpline.operations import apply_points, apply_streamlines, invert, map_points, preimages
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import apply_affine

CHAIN = Chain((smooth_field(FIXED), TURN, smooth_field(MOVING, 1.0, 9)))


def inner(grid, count=200, seed=0):
    """World points in the inner half of a grid."""
    share = np.random.default_rng(seed).uniform(0.25, 0.75, (count, 3))
    return apply_affine(grid.affine, share * (np.array(grid.shape) - 1))


def test_to_moving_is_the_transform_itself():
    np.testing.assert_array_equal(apply_points(inner(FIXED), CHAIN, to="moving"), CHAIN.map_points(inner(FIXED)))


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.floats(0, 3))
def test_to_fixed_undoes_to_moving(seed, size):
    chain = Chain((smooth_field(FIXED, size, seed), TURN))
    points = inner(FIXED, 50, seed)
    moved = apply_points(points, chain, to="moving")
    np.testing.assert_allclose(apply_points(moved, chain, to="fixed"), points, atol=1e-5)


def test_a_wrong_known_inverse_is_only_a_start():
    warp = smooth_field(FIXED)
    claimed = Displacement(warp.field, FIXED, np.zeros_like(warp.field))
    targets = claimed.map_points(inner(FIXED))
    np.testing.assert_allclose(preimages(claimed, targets).points, inner(FIXED), atol=1e-5)


def test_steep_maps_are_solved_too():
    """Strong expansion, where plain fixed-point steps oscillate."""
    slope = np.diag([2.6, 1.9, 0.4])
    points = apply_affine(FIXED.affine, np.moveaxis(np.indices(FIXED.shape), 0, -1))
    middle = FIXED.centre
    steep = Displacement(np.moveaxis((points - middle) @ slope, -1, 0).astype(np.float32), FIXED)
    inside = inner(FIXED)
    assert not (apply_affine(FIXED.inverse_affine, steep.map_points(inside)) > 0).all()  # some arrive beyond the grid
    found = preimages(steep, steep.map_points(inside))
    np.testing.assert_allclose(found.points, inside, atol=1e-4)
    assert found.residual.max() < 1e-4


def test_points_without_origin_are_warned_of(caplog):
    """A field that shifts its whole grid leaves a gap behind at one face."""
    shifted = Displacement(np.full((3, *FIXED.shape), 6, np.float32), FIXED)
    points = apply_affine(FIXED.affine, [[0, 5, 5], [8, 8, 8]])
    with caplog.at_level(logging.WARNING, "warpline"):
        found = apply_points(points, shifted, to="fixed")
    np.testing.assert_allclose(found[1], points[1] - 6, atol=1e-5)
    assert "1 of 2 points have no exact preimage" in caplog.text


@pytest.mark.parametrize("to", ["moving", "fixed"])
def test_points_beyond_a_warp_are_warned_of(to, caplog):
    """As when coordinates are read in the wrong convention."""
    away = FIXED.corners()[:1] - 500
    with caplog.at_level(logging.WARNING, "warpline"):
        apply_points(inner(FIXED), fading(FIXED), to=to)
        assert not caplog.records
        moved = apply_points(np.concatenate([inner(FIXED, 2), away]), fading(FIXED), to=to)
    np.testing.assert_array_equal(moved[2:], away)
    assert "1 of 3 points lie beyond the grid of a warp" in caplog.text


def test_points_where_a_field_is_not_known_are_told(caplog):
    field = np.zeros((3, *FIXED.shape), np.float32)
    field[:, 0] = np.nan
    warp = Displacement(field, FIXED)
    points = apply_affine(FIXED.affine, [[0, 5, 5], [8, 8, 8]])
    with caplog.at_level(logging.WARNING, "warpline"):
        moved = apply_points(points, warp, to="moving")
    np.testing.assert_array_equal(np.isnan(moved).all(axis=1), [True, False])
    assert "1 of 2 points become NaN" in caplog.text
    with pytest.raises(InputError, match=r"no displacement .* at 120 voxels"):
        apply_points(points, warp, to="fixed")


def test_shapes_stay():
    assert apply_points([1, 2, 3], CHAIN, to="fixed").shape == (3,)
    assert apply_points(np.zeros((4, 5, 3)), CHAIN, to="fixed").shape == (4, 5, 3)
    assert apply_points(np.zeros((0, 3)), CHAIN, to="fixed").shape == (0, 3)


def test_files_and_brackets_are_taken(tmp_path):
    write_transform(TURN, tmp_path / "a.mat")
    back = apply_points([[1.0, 2, 3]], f"[{tmp_path / 'a.mat'},1]", to="moving")
    np.testing.assert_allclose(back, TURN.inverse().map_points([[1, 2, 3]]), atol=1e-12)


def test_the_numerical_inverse_agrees_with_the_search():
    warp = fading(FIXED, 1.5)
    points = apply_affine(FIXED.affine, np.random.default_rng(0).integers(2, 8, (50, 3)))
    inverse = invert(warp, backend="numpy")
    np.testing.assert_allclose(preimages(warp, points).points, inverse.map_points(points), atol=0.005)


def test_streamlines_keep_their_lengths():
    lines = [inner(FIXED, count, count).astype(np.float32) for count in (5, 1, 9)]
    moved = apply_streamlines(lines, CHAIN, to="moving")
    assert [len(line) for line in moved] == [5, 1, 9]
    np.testing.assert_allclose(moved[2], CHAIN.map_points(lines[2]), atol=1e-9)
    assert apply_streamlines([], CHAIN, to="moving") == []


def test_dipy_carries_streamlines_to_the_same_place():
    """Of an affine, and in DIPY's own container."""
    from dipy.tracking.streamline import Streamlines, transform_streamlines

    lines = Streamlines([inner(MOVING, count, count) for count in (4, 6)])
    theirs = transform_streamlines(lines, TURN.inverse().matrix)
    for mine, their in zip(apply_streamlines(lines, TURN, to="fixed"), theirs, strict=True):
        np.testing.assert_allclose(mine, their, atol=1e-5)


@pytest.mark.parametrize("to", ["", "template", "FIXED"])
def test_other_destinations_are_refused(to):
    with pytest.raises(UsageError, match="choose from moving, fixed"):
        map_points(Affine.identity(), [[0, 0, 0]], to)


@pytest.mark.parametrize("points", [[1, 2], [[1, 2, 3, 4]], 5.0, [[np.nan, 0, 0]], [[np.inf, 0, 0]]])
def test_what_are_no_points_is_refused(points):
    with pytest.raises(InputError, match="points"):
        map_points(Affine.identity(), points, "moving")
