"""What is to be aligned: seen through a start, with its axes in another order, with masks and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from made_registrations import NO_STAGES, QUICK
from synthetic import ellipsoid, smooth_volume
from warpline.backends import select
from warpline.errors import InputError
from warpline.images import Image
from warpline.registration.image_pairs import ImagePair
from warpline.registration.initial_warp import InitialWarp
from warpline.registration.problem import Problem
from warpline.resampling import warp
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

SHAPE = (20, 22, 24)
GRID = Grid(SHAPE, np.eye(4))
COARSE = Grid((10, 11, 12), np.diag([2.0, 2.0, 2.0, 1.0]))


def image(seed=0, grid=GRID):
    inside = ellipsoid(grid.shape, 0.3)
    return Image(np.where(inside, smooth_volume(grid.shape, seed) + 0.5, 0).astype(np.float32), grid, f"{seed}.nii")


def mask(grid=GRID):
    return Image((np.indices(grid.shape)[0] < grid.shape[0] // 2).astype(np.uint8), grid, "mask.nii")


def weights(grid=COARSE):
    return Image(np.random.default_rng(0).uniform(0, 3, grid.shape).astype(np.float32), grid, "weights.nii")


def problem(recipe=QUICK, **given):
    pair = ImagePair(image(2), image(3), moving_weights=weights())
    pair = pair.loaded(2, {"fixed_2": pair.fixed, "moving_2": pair.moving, "moving_2_weights": pair.moving_weights})
    given = {"fixed_mask": None, "moving_mask": None, "initial": None, "pairs": (pair,)} | given
    return Problem(image(0), image(1), recipe=recipe, **given)


def shifted(by=3.0):
    field = np.zeros((3, *SHAPE), np.float32)
    field[0] = by
    return Chain.of(Displacement(field, GRID))


@pytest.fixture
def start():
    return InitialWarp(shifted(), GRID, select("numpy"))


def test_all_that_moves_is_seen_through_a_start(start):
    given = problem(moving_mask=mask(), weights=(weights(), weights()))
    seen = given.seen_through(start)
    there = slice(0, -4)  # the shift leads beyond the grid from its last voxels
    for one, other in ((seen.moving, given.moving), (seen.pairs[0].moving, given.pairs[0].moving)):
        np.testing.assert_allclose(one.data[there], np.roll(other.data, -3, axis=0)[there], atol=1e-5)
    np.testing.assert_array_equal(seen.moving_mask.data[there], np.roll(given.moving_mask.data, -3, axis=0)[there])
    for one, other in ((seen.weights[1], weights()), (seen.pairs[0].moving_weights, weights())):
        expected = warp(other, shifted(), one.grid, backend=select("numpy"))
        np.testing.assert_allclose(one.data, expected.data, atol=1e-5)
        assert np.abs(one.data).max() > 0
    assert np.array_equal(seen.initial.matrix, np.eye(4))


def test_what_stays_is_not_seen_through_it(start):
    given = problem(fixed_mask=mask(), weights=(weights(), None))
    seen = given.seen_through(start)
    assert seen.fixed is given.fixed and seen.fixed_mask is given.fixed_mask and seen.weights == given.weights
    assert seen.pairs[0].fixed is given.pairs[0].fixed


def test_a_start_that_leaves_nothing_to_see_is_refused():
    away = InitialWarp(shifted(100.0), GRID, select("numpy"))
    with pytest.raises(InputError):
        problem(NO_STAGES, pairs=()).seen_through(away)


def test_axes_are_reordered_with_their_masks():
    thin = Grid((20, 22, 6), np.eye(4))
    given = Problem(image(0, thin), image(1, thin), mask(thin), mask(thin), QUICK, Affine.identity())
    found = given.reorder_axes(select("numpy"))
    for one in (found.fixed, found.moving, found.fixed_mask, found.moving_mask):
        assert one.grid.shape == (20, 6, 22)
    np.testing.assert_array_equal(found.fixed.data, given.fixed.data.swapaxes(1, 2))
    np.testing.assert_array_equal(found.fixed_mask.data, given.fixed_mask.data.swapaxes(1, 2))
    assert found.initial is given.initial and found.recipe is given.recipe


@pytest.mark.parametrize("masks", [True, False])
def test_a_stage_sees_masks_where_it_heeds_them(masks):
    backend, given = select("numpy"), problem(fixed_mask=mask())
    images = given.normalised(backend)
    fixed, moving = given.heeding(masks, images, backend)
    assert images[0].mask is not None and (fixed.mask is not None) == masks and moving.mask is None
    assert ((fixed, moving) == images) == masks


def test_without_masks_nothing_is_normalised_twice():
    backend, given = select("numpy"), problem()
    images = given.normalised(backend)
    assert given.heeding(False, images, backend) is images


@pytest.mark.parametrize("given_mask", [None, mask()])
def test_places_that_a_start_misses_never_count(start, given_mask):
    """Also for a stage that does not heed masks: only those of the user are left out."""
    backend = select("numpy")
    cut = Image(smooth_volume(SHAPE, 1) + 2, GRID, "cut.nii")
    seen = Problem(image(0), cut, None, given_mask, NO_STAGES, None).seen_through(start)
    _, moving = seen.heeding(False, seen.normalised(backend), backend)
    voxels = np.indices(moving.grid.shape)[0] + round(moving.grid.affine[0, 3])
    counts = backend.download(moving.mask)[:, 5:-5, 5:-5] != 0
    shown = (voxels[:, 5:-5, 5:-5] + 3 >= 1) & (voxels[:, 5:-5, 5:-5] + 3 <= SHAPE[0] - 2)
    np.testing.assert_array_equal(counts, shown)


def test_what_a_start_reaches_is_reordered_too():
    thin = Grid((20, 22, 6), np.eye(4))
    given = Problem(image(0, thin), image(1, thin), None, None, QUICK, Affine.identity(), reached=mask(thin))
    found = given.reorder_axes(select("numpy"))
    np.testing.assert_array_equal(found.reached.data, mask(thin).data.swapaxes(1, 2))


@pytest.mark.parametrize(
    ("recipe", "initial", "judged"),
    [(QUICK, None, True), (QUICK, Affine.identity(), False), (NO_STAGES, None, False)],
)
def test_an_affine_is_judged_where_others_may_be_searched_for(recipe, initial, judged):
    problem = Problem(image(), image(1), None, None, recipe, initial)
    assert problem.judges_affine and replace(problem, judged=False).judges_affine == judged


def test_alike_images_are_scaled_as_one():
    given = problem()
    brighter = replace(given.moving, data=1.5 * given.fixed.data)
    for alike, ratio in ((True, 1.5), (False, 1.0)):
        fixed, moving = replace(given, moving=brighter, alike=alike).normalised(select("numpy"))
        np.testing.assert_allclose(moving.volume, ratio * fixed.volume, rtol=1e-4, atol=1e-4)
