"""Starts with a warp: what is seen through them, and the whole map."""

from __future__ import annotations

import re

import numpy as np
import pytest

from made_registrations import NO_STAGES, QUICK, QUICK_RIGID, made_pair
from synthetic import ellipsoid, fading_field, smooth_volume
from warpline import Affine, Chain, Displacement, register
from warpline.backends import select
from warpline.errors import InputError
from warpline.images import Image
from warpline.recipe import Recipe
from warpline.registration import align
from warpline.registration.image_pairs import ImagePair
from warpline.registration.initial_warp import InitialWarp
from warpline.registration.quality import MEAN_LIMIT, P99_LIMIT, VOXELS
from warpline.resampling import warp
from warpline.space.grid import Grid, apply_affine

SHAPE = (30, 28, 26)
GRID = Grid(SHAPE, np.diag([1.5, 1.5, 1.5, 1.0]))
ROUNDING = 2e-4  # mm: a voxel coordinate of 30 in single precision, times some steps


def turned(degrees, scale=1.0):
    """A turn about the middle of the grid, and a scale."""
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix[:3, 3] = GRID.centre - matrix[:3, :3] @ GRID.centre
    return Affine(matrix)


def bent(seed=1, largest=1.5, grid=GRID):
    return Displacement(1.5 * fading_field(grid.shape, seed, largest, 4.0), grid)


def blob(grid=GRID, seed=5):
    inside = ellipsoid(grid.shape, 0.32)
    return Image(np.where(inside, smooth_volume(grid.shape, seed, 1.5) + 0.5, 0).astype(np.float32), grid)


def lattice(margin=4):
    voxels = np.stack(np.meshgrid(*(np.arange(margin, n - margin) for n in SHAPE), indexing="ij"), axis=-1)
    return apply_affine(GRID.affine, voxels.reshape(-1, 3))


def start(*parts, grid=GRID, backend=None):
    return InitialWarp(Chain(parts), grid, backend or select("numpy"))


@pytest.mark.parametrize("order", ["warp first", "affine first"])
def test_the_total_map_is_what_is_found_then_the_start(order, backend):
    parts = (bent(), turned(20)) if order == "warp first" else (turned(20), bent())
    found = Chain((bent(2, 1.0), turned(5)))
    mask = backend.upload(np.ones(SHAPE, np.uint8))
    whole = start(*parts, backend=backend).total(inverted(found), mask, VOXELS)
    points = lattice()
    expected = Chain.of(found, *parts).map_points(points)
    np.testing.assert_allclose(Chain((whole.warp, whole.affine)).map_points(points), expected, atol=ROUNDING)
    assert whole.quality.rounds == 0
    back = Chain((whole.affine.inverse(), whole.warp.inverse())).map_points(expected)
    assert np.abs(back - points).max() < 1.5 * 4 * P99_LIMIT
    assert whole.quality.inverse_error_mean < MEAN_LIMIT and whole.quality.folded_voxels == 0


def inverted(chain):
    """The same with the inverse of its first part, as registrations give it."""
    import warpline

    first, *others = chain.parts
    return Chain((warpline.invert(warpline.invert(first, backend="numpy")), *others))


def test_what_is_seen_is_the_image_through_the_start():
    moving, through = blob(), Chain((bent(), turned(30)))
    seen, mask = start(*through.parts).see(moving, None)
    assert mask is None  # background surrounds the blob, and the field covers the grid
    assert seen.grid == GRID
    expected = warp(moving, through, GRID, backend=select("numpy"))
    np.testing.assert_allclose(seen.data, expected.data, atol=1e-5)


def test_a_finer_moving_image_is_seen_as_finely():
    fine = Grid((60, 56, 26), np.diag([0.75, 0.75, 1.5, 1.0]))
    seen, _ = start(bent(largest=0.5)).see(blob(fine), None)
    assert (seen.grid.voxel_size < [0.8, 0.8, 1.55]).all() and (seen.grid.voxel_size > [0.6, 0.6, 1.2]).all()
    corners = seen.grid.corners()
    assert (np.ptp(corners, axis=0) > np.ptp(GRID.corners(), axis=0) - 2).all()


def test_what_lies_beyond_a_cut_image_is_masked_out():
    whole = Image(smooth_volume(SHAPE, 3, 1.5) + 0.5, GRID)
    seen, mask = start(bent(), turned(30)).see(whole, None)
    assert mask is not None and mask.grid == seen.grid
    there = warp(Image(np.ones(SHAPE, np.uint8), GRID), Chain((bent(), turned(30))), mask.grid, order=0,
                 backend=select("numpy"))  # fmt: skip
    assert not (mask.data.astype(bool) & (there.data == 0)).any()
    assert mask.data.sum() > 0.7 * there.data.sum()
    assert start(bent(), turned(30)).see(whole, None, beyond="background")[1] is None


def test_a_small_moving_image_is_seen_where_it_is():
    small = Grid((6, 6, 6), GRID.affine @ np.array([[1, 0, 0, 12], [0, 1, 0, 9], [0, 0, 1, 7], [0, 0, 0, 1.0]]))
    seen, _ = start(bent(largest=0.5)).see(Image(smooth_volume((6, 6, 6)), small), None)
    assert seen.grid.contains(small.corners()).all() and np.prod(seen.grid.shape) < 0.2 * np.prod(SHAPE)


def test_masks_and_labels_keep_their_values():
    labels = Image((7 * ellipsoid(SHAPE, 0.3)).astype(np.int16), GRID)
    half = Image((np.indices(SHAPE)[0] < 15).astype(np.uint8), GRID)
    seen, mask = start(bent(), turned(40)).see(labels, half, labels=True)
    assert set(np.unique(seen.data)) == {0, 7} and set(np.unique(mask.data)) == {0, 1}
    expected = warp(half, Chain((bent(), turned(40))), mask.grid, order=0, backend=select("numpy"))
    np.testing.assert_array_equal(mask.data, expected.data)


def test_a_start_that_leads_nowhere_is_refused():
    far = np.eye(4)
    far[0, 3] = 500
    with pytest.raises(InputError, match="lead no voxel of the fixed image"):
        start(bent(), Affine(far)).see(blob(), None)


def test_a_field_that_is_not_known_everywhere_is_refused():
    field = np.zeros((3, *SHAPE), np.float32)
    field[0, 2, 2, 2] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        start(Displacement(field, GRID))


def test_folds_of_the_start_are_counted_and_settled():
    field = np.zeros((3, *SHAPE), np.float32)
    field[0, 14, 13, 12] = 4.0  # beyond its neighbours
    folding = start(Displacement(field, GRID))
    (note,) = folding.notes(np.ones(SHAPE, np.uint8))
    assert re.match(r"the initial transforms fold at [1-9]\d* voxels", note)
    whole = folding.total(Chain(), np.ones(SHAPE, np.uint8), VOXELS)
    assert whole.quality.folded_voxels == 0


def test_fields_that_end_within_the_fixed_image_are_noted():
    half = GRID.cropped((0, 0, 0), (15, 28, 26))
    (note,) = start(bent(largest=0.5, grid=half)).notes(np.ones(SHAPE, np.uint8))
    assert "do not reach 50.00% of the fixed image" in note
    assert start(bent(), turned(10)).notes(np.ones(SHAPE, np.uint8)) == ()


@pytest.fixture(scope="module")
def first():
    """A registration of the made pair."""
    return register(*made_pair(), QUICK.with_options("syn.step=0.25"), backend="numpy")


def test_a_registration_begins_again_where_another_ended(first):
    assert np.abs(first.alignment.warp.field).max() > 0
    chain = [first.alignment.warp, first.alignment.affine]
    kept = register(*made_pair(), NO_STAGES, initial=chain, backend="numpy")
    np.testing.assert_allclose(kept.alignment.warp.field, first.alignment.warp.field, atol=ROUNDING)
    np.testing.assert_array_equal(kept.alignment.affine.matrix, first.alignment.affine.matrix)
    np.testing.assert_allclose(kept.warped.data, first.warped.data, atol=2e-3)
    assert kept.report["initial"][0].startswith("Displacement on 30 x 28 x 26")


def test_a_linear_recipe_after_a_warp_writes_a_warp(first, tmp_path):
    chain = [first.alignment.warp, first.alignment.affine]
    found = register(*made_pair(), QUICK_RIGID, initial=chain, backend="numpy")
    assert found.report["quality"]["folded_voxels"] == 0
    assert found.save(tmp_path / "a_")["warp"].exists()
    before, after = first.report["similarity"]["after"]["ncc"], found.report["similarity"]["after"]["ncc"]
    assert after > before - 0.02


def test_what_is_seen_must_show_something():
    fixed = blob()
    moving = Image(np.where(np.indices(SHAPE)[0] < 24, 0, blob().data + 1).astype(np.float32), GRID)
    aside = np.eye(4)
    aside[0, 3] = -18.0
    with pytest.raises(InputError, match="constant"):
        register(fixed, moving, QUICK, initial=[bent(largest=0.5), Affine(aside)], backend="numpy")


def test_further_pairs_are_seen_through_the_start_too(first):
    fixed, moving = made_pair()
    seen = []
    chain = [first.alignment.warp, first.alignment.affine]
    pair = ImagePair(fixed, moving)
    found = register(fixed, moving, QUICK, initial=chain, pairs=[pair], backend="numpy", progress=seen.append)
    assert len(found.report["terms"]) == 2
    assert found.report["quality"]["folded_voxels"] == 0


def test_thin_and_flat_images_start_from_warps():
    grid = Grid((40, 36, 1), np.array([[1.0, 0, 0, 3], [0, 1, 0, 2], [0, 0, 1, 7], [0, 0, 0, 1]]), flat=True)
    field = fading_field(grid.shape, 1, 1.0, 4.0)
    flat = Displacement(
        field, Grid(grid.shape, np.array([[1.0, 0, 0, 3], [0, 1, 0, 2], [0, 0, 1, 0], [0, 0, 0, 1]]), True)
    )
    image = blob(grid)
    recipe = Recipe.load("rigid").with_options("linear=none")
    found = register(image, image, recipe, initial=flat, backend="numpy")
    np.testing.assert_allclose(found.alignment.warp.field, field, atol=ROUNDING)
    assert found.transform.flat and found.report["quality"]["folded_voxels"] == 0


def test_without_judgement_the_map_is_as_it_was_joined(first):
    result = align(*made_pair(), NO_STAGES, backend=select("numpy"), initial=first.transform, judged=False)
    points = lattice()
    expected = first.transform.map_points(points)
    np.testing.assert_allclose(result.transform.map_points(points), expected, atol=ROUNDING)
    assert result.warp.inverse_field is None and result.quality is None and result.judgement.signs == {}
