"""Whole registrations: from two images to the map between them, its inverse and its quality."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import warpline
from made_heads import lattice, scan
from warpline.backends import select
from warpline.errors import InputError
from warpline.evaluation import folding, inverse_error, landmark_error, overlap, similarity
from warpline.images import Image
from warpline.io.images import read_image
from warpline.phantom import brain_pair
from warpline.recipe import PRESETS, Initialise, Linear, Recipe, Syn
from warpline.registration.alignment import align
from warpline.registration.deformation import TAPER
from warpline.registration.quality import MEAN_LIMIT, P99_LIMIT
from warpline.resampling import warp
from warpline.space import Affine, Chain
from warpline.space.grid import Grid, apply_affine

QUICK = Recipe(
    initialise=Initialise(rotations=False),
    linear=Linear(stages=("affine",), voxel_sizes=(8.0, 4.0), iterations=(30, 20), samples=8000, refinements=2),
    syn=Syn(factors=(2.0, 1.0), iterations=(30, 15), step=0.25),
)


@pytest.fixture(scope="module")
def fast():
    return select(None, threads=2)


@pytest.fixture(scope="module")
def pair():
    return brain_pair((40, 48, 40), voxel_size=4.0)


@pytest.fixture(scope="module")
def aligned(pair, fast):
    return align(pair.fixed, pair.moving, QUICK, backend=fast)


def dice(pair, transform, backend):
    labels = warp(pair.moving_labels, transform, pair.fixed.grid, order=0, backend=backend)
    return overlap(pair.fixed_labels, labels).mean


def assert_sound(result, mask=None):
    """No folds, and inverse errors within the limits, measured apart from the engine."""
    mask = Image((result.fixed.data != 0).astype(np.uint8), result.fixed.grid) if mask is None else mask
    assert folding(result.warp, mask, backend="numpy").count == 0
    for there, back in ((result.warp, result.warp.inverse()), (result.warp.inverse(), result.warp)):
        error = inverse_error(there, back, result.fixed.grid, mask)
        assert error.mean < MEAN_LIMIT
        assert error.p99 < P99_LIMIT


def test_a_known_map_is_recovered(pair, aligned, fast):
    """Voxels of 4 mm: landmarks are found to a quarter of a voxel, labels beyond what the affine reaches."""
    before = landmark_error(pair.fixed_points, pair.moving_points, Affine.identity())
    linear = landmark_error(pair.fixed_points, pair.moving_points, aligned.affine)
    after = landmark_error(pair.fixed_points, pair.moving_points, aligned.transform)
    assert before.mean > 10
    assert linear.mean < 4
    assert after.mean < 1.0
    assert dice(pair, aligned.transform, fast) > dice(pair, aligned.affine, fast) + 0.1
    assert_sound(aligned)


def test_the_inverse_carries_moving_points_back(pair, aligned):
    back = aligned.inverse.map_points(aligned.transform.map_points(pair.fixed_points))
    assert np.linalg.norm(back - pair.fixed_points, axis=1).max() < 0.25 * 4
    found = landmark_error(pair.moving_points, pair.fixed_points, aligned.inverse)
    assert found.mean < 1.0


def test_what_a_result_holds(pair, aligned):
    assert aligned.fixed is pair.fixed
    assert aligned.moving is pair.moving
    assert aligned.transform.parts == (aligned.warp, aligned.affine)
    assert aligned.warp.grid == pair.fixed.grid
    assert aligned.warp.field.dtype == np.float32
    assert list(aligned.seconds) == ["preparation", "linear", "judgement", "deformable", "inversion", "download"]
    assert {r.stage for r in aligned.levels} == {"affine", "syn"}
    assert aligned.quality.folded_voxels == 0


def test_quality_is_that_of_the_worse_direction(aligned, numpy_backend):
    mask = Image((aligned.fixed.data != 0).astype(np.uint8), aligned.fixed.grid)
    directions = aligned.warp, aligned.warp.inverse()
    folds = [folding(one, mask, backend=numpy_backend) for one in directions]
    errors = [inverse_error(one, one.inverse(), aligned.fixed.grid, mask).mean for one in directions]
    assert aligned.quality.jacobian_min == pytest.approx(min(f.minimum for f in folds), abs=1e-3)
    assert aligned.quality.jacobian_max == pytest.approx(folds[0].maximum, abs=1e-3)
    assert aligned.quality.inverse_error_mean == pytest.approx(max(errors), rel=0.05)


def test_a_linear_recipe_has_no_warp(pair, fast):
    result = align(pair.fixed, pair.moving, QUICK.model_copy(update={"syn": None}), backend=fast)
    assert result.warp is None
    assert result.quality is None
    assert result.transform.parts == (result.affine,)
    assert list(result.seconds) == ["preparation", "linear", "judgement"]


def test_without_linear_stages_the_start_is_kept(pair, fast):
    start = pair.transform.parts[1]
    recipe = QUICK.model_copy(update={"linear": None})
    result = align(pair.fixed, pair.moving, recipe, backend=fast, initial=start)
    np.testing.assert_array_equal(result.affine.matrix, start.matrix)
    assert landmark_error(pair.fixed_points, pair.moving_points, result.transform).mean < 1.0


def test_maps_that_are_not_judged_are_the_same(pair, aligned, fast):
    found = align(pair.fixed, pair.moving, QUICK, backend=fast, judged=False)
    np.testing.assert_array_equal(found.affine.matrix, aligned.affine.matrix)
    np.testing.assert_array_equal(found.warp.field, aligned.warp.field)
    assert found.judgement.signs.keys() < aligned.judgement.signs.keys()


def test_the_same_bits_every_time_and_for_any_number_of_threads(pair, aligned):
    for threads in (1, 2):
        again = align(pair.fixed, pair.moving, QUICK, backend=select(None, threads=threads))
        np.testing.assert_array_equal(again.affine.matrix, aligned.affine.matrix)
        np.testing.assert_array_equal(again.warp.field, aligned.warp.field)
        np.testing.assert_array_equal(again.warp.inverse_field, aligned.warp.inverse_field)
        assert again.quality == aligned.quality


def test_backends_agree(pair, aligned, fast, numpy_backend):
    slow = align(pair.fixed, pair.moving, QUICK, backend=numpy_backend)
    ours, theirs = (warp(pair.moving, r.transform, pair.fixed.grid, backend=fast).data for r in (aligned, slow))
    brain = pair.fixed.data > 0
    assert np.abs(ours - theirs)[brain].mean() < 0.002 * np.ptp(pair.fixed.data)
    assert dice(pair, aligned.transform, fast) == pytest.approx(dice(pair, slow.transform, fast), abs=0.002)
    assert_sound(slow)


def test_identical_images_are_not_moved_by_linear_stages(pair, fast):
    result = align(pair.fixed, pair.fixed, PRESETS["affine"], backend=fast)
    points = pair.fixed_points
    assert np.linalg.norm(result.transform.map_points(points) - points, axis=1).max() < 0.05 * 4


def test_identical_images_are_not_bent(pair, fast):
    recipe = PRESETS["syn"].model_copy(update={"linear": None})
    result = align(pair.fixed, pair.fixed, recipe, backend=fast, initial=Affine.identity())
    assert np.linalg.norm(result.warp.field, axis=0).max() < 0.05 * 4


def stored(image, axes, flips):
    """The same image with its array axes permuted and flipped, and the affine that says so."""
    data = image.data.transpose(axes)
    matrix = image.affine[:, [*axes, 3]].copy()
    for axis in flips:
        data = np.flip(data, axis)
        matrix[:3, 3] += matrix[:3, axis] * (data.shape[axis] - 1)
        matrix[:3, axis] *= -1
    return Image(np.ascontiguousarray(data), Grid(data.shape, matrix), image.name)


@pytest.mark.parametrize(("axes", "flips"), [((0, 1, 2), (0,)), ((2, 0, 1), ()), ((1, 0, 2), (1, 2))])
def test_the_order_in_which_voxels_are_stored_does_not_matter(pair, fast, axes, flips):
    """Rounding grows over the iterations, to at most 0.05 mm of 4 mm voxels; linear samples are laid by index."""
    start = pair.transform.parts[1]
    recipe = QUICK.model_copy(update={"linear": None})
    plain = align(pair.fixed, pair.moving, recipe, backend=fast, initial=start)
    other_fixed, other_moving = (stored(image, axes, flips) for image in (pair.fixed, pair.moving))
    for images in ((other_fixed, pair.moving), (pair.fixed, other_moving)):
        other = align(*images, recipe, backend=fast, initial=start)
        gap = other.transform.map_points(pair.fixed_points) - plain.transform.map_points(pair.fixed_points)
        assert np.linalg.norm(gap, axis=1).max() < 0.05
    other = align(other_fixed, other_moving, QUICK, backend=fast)
    assert landmark_error(pair.fixed_points, pair.moving_points, other.transform).mean < 1.0


def test_turning_the_world_turns_the_map(pair, aligned, fast):
    """Oblique fixed and moving grids: the same brains, laid elsewhere in the world."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec([0.4, -0.3, 0.6]).as_matrix()
    turn[:3, 3] = 20, -35, 12
    fixed, moving = (Image(i.data, Grid(i.grid.shape, turn @ i.affine)) for i in (pair.fixed, pair.moving))
    result = align(fixed, moving, QUICK, backend=fast)
    mapped = result.transform.map_points(apply_affine(turn, pair.fixed_points))
    gap = mapped - apply_affine(turn, aligned.transform.map_points(pair.fixed_points))
    assert np.linalg.norm(gap, axis=1).mean() < 0.4
    assert_sound(result)


def test_thick_slices(pair, fast):
    """Every other slice of the fixed brain: 4 x 4 x 8 mm against 4 mm."""
    grid = Grid((40, 48, 20), pair.fixed.affine @ np.diag([1, 1, 2, 1]))
    thick = Image(np.ascontiguousarray(pair.fixed.data[:, :, ::2]), grid)
    result = align(thick, pair.moving, QUICK, backend=fast)
    linear = landmark_error(pair.fixed_points, pair.moving_points, result.affine).mean
    assert landmark_error(pair.fixed_points, pair.moving_points, result.transform).mean < min(1.6, 0.6 * linear)
    assert_sound(result)


def test_one_slice(pair, fast):
    """A coronal slice of the brain against the same slice through the true map: nothing leaves the plane."""
    grid = pair.fixed.grid.cropped((0, 26, 0), (40, 27, 40))
    fixed = Image(np.ascontiguousarray(pair.fixed.data[:, 26:27]), grid)
    bent = warp(pair.fixed, Chain((pair.transform.parts[0],)), grid, backend=fast)
    result = align(fixed, Image(bent.data, grid), QUICK, backend=fast)
    assert not result.warp.field[1].any()
    before = similarity(fixed, Image(bent.data, grid))
    after = similarity(fixed, warp(Image(bent.data, grid), result.transform, grid, backend=fast))
    assert after.local_ncc > before.local_ncc + 0.08
    assert_sound(result)


def test_the_warp_is_zero_far_from_the_foreground(fast):
    """A small object in a large field of view: the field covers the whole grid and fades out."""
    pair = brain_pair((24, 28, 24), voxel_size=7.0)
    pad = 36
    roomy = Grid((24 + 2 * pad, 28, 24), pair.fixed.grid.cropped((-pad, 0, 0), (24 + pad, 28, 24)).affine)
    data = np.pad(pair.fixed.data, ((pad, pad), (0, 0), (0, 0)))
    result = align(Image(data, roomy), pair.moving, QUICK, backend=fast)
    field = result.warp.field
    assert field.shape == (3, *roomy.shape)
    assert np.abs(field[:, pad : pad + 24]).max() > 3
    foreground = np.flatnonzero(data.any(axis=(1, 2)))
    furthest = 15 + TAPER  # the box around both objects and its margin, then the taper
    for far in (field[:, : foreground[0] - furthest], field[:, foreground[-1] + furthest + 1 :]):
        assert far.size
        assert not far.any()
    jumps = np.abs(np.diff(field, axis=1)).max(axis=(0, 2, 3)) / 7.0
    assert jumps.max() < 0.9


def test_early_stop_saves_iterations_without_losing_labels(pair, fast):
    long = QUICK.syn.model_copy(update={"iterations": (200, 60), "early_stop": None})
    every = align(pair.fixed, pair.moving, QUICK.model_copy(update={"syn": long}), backend=fast)
    short = long.model_copy(update={"early_stop": 1e-4})
    fewer = align(pair.fixed, pair.moving, QUICK.model_copy(update={"syn": short}), backend=fast)
    counts = [sum(r.iterations for r in result.levels if r.stage == "syn") for result in (every, fewer)]
    assert counts[0] == 260
    assert counts[1] < 200
    assert dice(pair, fewer.transform, fast) > dice(pair, every.transform, fast) - 0.02


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_what_a_mask_hides_has_no_say(pair, aligned, fast, which):
    """The right quarter of the head is another one under the mask: elsewhere the true map is still found."""
    image = getattr(pair, which)
    place = aligned.inverse if which == "moving" else Chain()
    world = apply_affine(image.affine, np.moveaxis(np.indices(image.grid.shape), 0, -1))
    hidden = place.map_points(world)[..., 0] > 25
    mask = Image((~hidden).astype(np.uint8), image.grid)
    spoilt = Image(np.where(hidden, np.flip(image.data, 1) * np.float32(1.5), image.data), image.grid)
    images = {"fixed": pair.fixed, "moving": pair.moving, which: spoilt}
    left = pair.fixed_points[:, 0] < 5
    result = align(images["fixed"], images["moving"], QUICK, backend=fast, **{f"{which}_mask": mask})
    points = pair.fixed_points[left], pair.moving_points[left]
    assert landmark_error(*points, result.transform).mean < 1.2


def test_images_without_background_on_grids_that_differ(fast):
    """Heads seen through a small window: both fill their grids, and the moving one ends within the fixed one."""
    truth = np.eye(4)
    truth[:3, :3] = Rotation.from_rotvec([0.03, 0.02, -0.04]).as_matrix()
    truth[:3, 3] = 2, -1.5, 1
    fixed = scan(lattice(size=2.0, shape=(30, 36, 26)))
    moving = scan(lattice(size=2.2, shape=(24, 30, 20)), np.linalg.inv(truth))
    assert (fixed.data > 0).all()
    assert (moving.data > 0).all()
    recipe = QUICK.model_copy(update={"linear": Linear(stages=("rigid",))})
    result = align(fixed, moving, recipe, backend=fast)
    points = np.random.default_rng(0).uniform(-14, 14, (200, 3))
    linear, whole = (
        np.linalg.norm(transform.map_points(points) - apply_affine(truth, points), axis=1).mean()
        for transform in (result.affine, result.transform)
    )
    assert linear < 0.2
    assert whole < 0.5
    assert np.linalg.norm(result.warp.field, axis=0).max() < 2.0
    assert_sound(result)


def test_an_affine_is_found_through_a_window_within_the_head(fast):
    """The last rounds of the affine stage keep what the rounds before them found."""
    truth = np.eye(4)
    truth[:3, :3] = Rotation.from_rotvec([0.03, 0.02, -0.04]).as_matrix()
    truth[:3, 3] = 2, -1.5, 1
    fixed = scan(lattice(size=2.0, shape=(30, 36, 26)))
    moving = scan(lattice(size=2.2, shape=(24, 30, 20)), np.linalg.inv(truth))
    result = align(fixed, moving, PRESETS["affine"], backend=fast)
    points = np.random.default_rng(0).uniform(-14, 14, (200, 3))
    gap = result.transform.map_points(points) - apply_affine(truth, points)
    assert np.linalg.norm(gap, axis=1).mean() < 0.3


# -- real brains ----------------------------------------------------------------------------------------------------


def test_a_real_pair_of_unlike_grids(data_folder, fast):
    """Voxels of 2 x 2.6 x 2 mm against 2 mm, of opposite handedness."""
    moving = read_image(data_folder / "seed" / "ds114_sub009_highres_brain_222.nii")
    fixed = read_image(data_folder / "seed" / "mni_icbm152_t1_tal_nlin_asym_09a_masked_222.nii")
    recipe = PRESETS["syn"].with_options("syn.iterations=[60, 40, 5]", "initialise.rotations=false")
    result = align(fixed, moving, recipe, backend=fast)
    brain = Image((fixed.data > 0).astype(np.uint8), fixed.grid)
    start, linear, whole = (
        similarity(fixed, warp(moving, transform, fixed.grid, backend=fast), brain)
        for transform in (Affine.identity(), result.affine, result.transform)
    )
    assert start.ncc < linear.ncc < whole.ncc
    assert start.local_ncc < linear.local_ncc
    assert whole.local_ncc > linear.local_ncc + 0.1
    assert_sound(result, brain)


def test_real_slices(data_folder, fast):
    """Coronal slices of two brains: labels overlap better than after the affine, without folds."""
    folder = data_folder / "oasis-trt-20-slices"
    fixed, moving = (read_image(folder / f"sub-0{n}_t1.nii.gz") for n in (1, 2))
    fixed_labels, moving_labels = (read_image(folder / f"sub-0{n}_labels.nii.gz") for n in (1, 2))
    result = align(fixed, moving, PRESETS["syn"], backend=fast)
    linear, whole = (
        overlap(fixed_labels, warp(moving_labels, transform, fixed.grid, order=0, backend=fast)).mean
        for transform in (result.affine, result.transform)
    )
    assert whole > linear + 0.05
    assert_sound(result)


def test_warnings_are_in_the_alignment_and_the_report():
    where = np.square((np.indices((36, 36, 36)) - 17) / np.array([8, 9, 7])[:, None, None, None]).sum(axis=0)
    fixed = Image.from_array((100 * np.exp(-where)).astype(np.float32))
    moving = Image.from_array(np.roll(fixed.data, 2, axis=0))
    for name in ("affine", "syn-fast"):
        recipe = Recipe.load(name).with_options("initialise.rotations=false")
        found = warpline.register(fixed, moving, recipe=recipe, backend="numba")
        assert any("repeated by correlation" in said for said in found.report["warnings"]), name


def test_a_level_that_was_taken_back_is_said(pair, fast, monkeypatch):
    """A metric whose forces lead uphill from the third evaluation of the energy on."""
    from warpline.metrics import DEFORMABLE_METRICS
    from warpline.metrics.local_cc import LocalCC

    class Uphill(LocalCC):
        left = 12

        def forces(self, images, forces, value, **more):
            super().forces(images, forces, value, **more)
            Uphill.left -= 1
            if Uphill.left < 0:
                forces *= -1

    monkeypatch.setitem(DEFORMABLE_METRICS, "local_cc", lambda _: Uphill())
    recipe = QUICK.model_copy(update={"syn": Syn(factors=(2.0,), iterations=(30,), early_stop=None, contrast="given")})
    result = align(pair.fixed, pair.moving, recipe, backend=fast)
    (level,) = (level for level in result.levels if level.stage == "syn")
    assert level.kept < 30
    (warning,) = (text for text in result.warnings if "taken back" in text)
    assert warning.startswith("level 1 of 1 of the deformable stage got worse and was taken back to its best state")
    assert f"iteration {level.kept} of 30" in warning


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_what_weights_of_0_hide_has_less_say(pair, aligned, fast, which):
    """Where another head lies the map is better; on a grid of thicker voxels, with half as much weight beside it."""
    image = getattr(pair, which)
    coarse = Grid(tuple(-(-n // 2) for n in image.grid.shape), image.affine @ np.diag([2.0, 2.0, 2.0, 1.0]))
    place = aligned.inverse if which == "moving" else Chain()

    def right(grid):
        world = apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
        return place.map_points(world)[..., 0]

    spoilt = Image(np.where(right(image.grid) > 25, np.flip(image.data, 1) * 1.5, image.data), image.grid)
    images = {"fixed": pair.fixed, "moving": pair.moving, which: spoilt}
    hidden = pair.fixed_points[:, 0] > 20
    points = pair.fixed_points[hidden], pair.moving_points[hidden]
    recipe, start = QUICK.with_options("linear=off"), pair.transform.parts[1]
    weights = Image(np.select([right(coarse) > 20, right(coarse) > 0], [0.0, 4.0], 8.0), coarse)
    plain = align(images["fixed"], images["moving"], recipe, backend=fast, initial=start)
    options = {f"{which}_weights": weights, "initial": start}
    weighed = align(images["fixed"], images["moving"], recipe, backend=fast, **options)
    missed, without = (landmark_error(*points, found.transform).mean for found in (weighed, plain))
    assert missed < 0.85 * without


def test_masks_count_in_the_stages_that_the_recipe_says(pair, fast):
    mask = Image((np.indices(pair.fixed.grid.shape)[0] < 30).astype(np.uint8), pair.fixed.grid)
    quick = QUICK.with_options("syn.iterations=[2, 1]")

    def found(*settings, **masks):
        return align(pair.fixed, pair.moving, quick.with_options(*settings), backend=fast, **masks)

    free, both = found(), found(fixed_mask=mask)
    linear = found("syn.masks=false", fixed_mask=mask)
    deformable = found("linear.masks=false", fixed_mask=mask)
    assert not np.array_equal(free.affine.matrix, both.affine.matrix)
    np.testing.assert_array_equal(linear.affine.matrix, both.affine.matrix)
    np.testing.assert_array_equal(deformable.affine.matrix, free.affine.matrix)
    assert not np.array_equal(linear.warp.field, both.warp.field)
    assert not np.array_equal(deformable.warp.field, free.warp.field)
    neither = found("linear.masks=false", "syn.masks=false", fixed_mask=mask)
    np.testing.assert_array_equal(neither.warp.field, free.warp.field)


def weights_at(image, places):
    weights = np.zeros(image.grid.shape, np.float32)
    weights[places] = 1
    return Image(weights, image.grid, "weights.nii")


def test_weights_that_leave_hardly_anything_are_said(pair, fast):
    quick = QUICK.with_options("syn.iterations=[1, 1]")
    middle = tuple(n // 2 for n in pair.fixed.grid.shape)
    found = align(pair.fixed, pair.moving, quick, backend=fast, fixed_weights=weights_at(pair.fixed, middle))
    (said,) = (text for text in found.warnings if text.startswith("masks, weights and fields of view leave"))
    assert "of both images" in said and found.terms[0].counted.share < 1e-3
    half = weights_at(pair.fixed, np.s_[: middle[0]])
    found = align(pair.fixed, pair.moving, quick, backend=fast, fixed_weights=half)
    assert 0.2 < found.terms[0].counted.share < 0.8 and found.terms[0].counted.voxels > 1000
    assert not [text for text in found.warnings if text.startswith("masks, weights and fields of view leave")]


@pytest.mark.parametrize("gap", [10, 60])
def test_weights_without_a_place_in_common_are_refused(pair, fast, gap):
    """Which lie in voxels beside each other, or far apart."""
    quick, marked = QUICK.with_options("syn.iterations=[1, 1]", "linear=off", "initialise.method=identity"), {}
    for side, sign in (("fixed", 1), ("moving", -1)):
        image = getattr(pair, side)
        world = apply_affine(image.affine, np.moveaxis(np.indices(image.grid.shape), 0, -1))
        marked[f"{side}_weights"] = weights_at(image, sign * world[..., 0] > gap / 2)
    with pytest.raises(InputError, match="weights, and masks, leave nothing of the two images to compare"):
        align(pair.fixed, pair.moving, quick, backend=fast, **marked)
