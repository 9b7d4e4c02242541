"""Further pairs of images: what cannot be compared is refused, and what is compared has a say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from made_registrations import QUICK, QUICK_RIGID
from synthetic import ellipsoid, fading_field, smooth_volume
from warpline import ImagePair, register
from warpline.backends import select
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.metrics import CHANNEL_METRICS
from warpline.registration.contrast import CURVES
from warpline.resampling import warp, warp_labels
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid

SHAPE = (28, 26, 24)
GRID = Grid(SHAPE, np.diag([1.5, 1.5, 1.5, 1.0]))
HALF = Grid((14, 13, 12), GRID.affine @ np.diag([2.0, 2.0, 2.0, 1.0]))
THICK = Grid((28, 26, 6), GRID.affine @ np.diag([1.0, 1.0, 4.0, 1.0]))
RECIPE = QUICK.with_options("linear=none", "syn.iterations=[40, 20]")
MOTION = Displacement((1.5 * fading_field(SHAPE, 7, 2.0, sigma=4.0)).astype(np.float32), GRID)
INSIDE = ellipsoid(SHAPE, 0.38)
PLAIN = select("numpy")


def image_of(volume, name="image"):
    return Image(np.where(INSIDE, volume, 0).astype(np.float32), GRID, name)


def deformed(image):
    """What the motion makes of a moving image, on the fixed grid."""
    return warp(image, MOTION, GRID, backend=PLAIN)


MOVING = image_of(0.4 + smooth_volume(SHAPE, 3, sigma=1.5))
FIXED = deformed(MOVING)
OTHER = image_of(0.4 + smooth_volume(SHAPE, 13, sigma=1.5))
LABELS = image_of(1 + np.digitize(smooth_volume(SHAPE, 23, sigma=2.5), [0.4, 0.5, 0.6]), "labels")
FIXED_LABELS = warp_labels(LABELS, MOTION, GRID, backend=PLAIN)


def run(fixed, moving, pairs, recipe=RECIPE, backend="numba"):
    return register(fixed, moving, recipe, initial=Affine.identity(), backend=backend, threads=1, pairs=pairs)


def missed(found):
    """Mean distance in mm from where points of the object belong."""
    points = np.moveaxis(np.indices(SHAPE), 0, -1)[INSIDE] * 1.5
    return np.linalg.norm(found.transform.map_points(points) - MOTION.map_points(points), axis=1).mean()


def agreement(found):
    """Share of the voxels of the object with the labels that they should have."""
    warped = warp_labels(LABELS, found.transform, GRID, backend=PLAIN)
    return (warped.data == FIXED_LABELS.data)[INSIDE].mean()


def test_an_unknown_metric_is_told_the_known_ones():
    with pytest.raises(UsageError, match="metric 'dice' of a pair is unknown") as caught:
        ImagePair("a.nii", "b.nii", metric="dice")
    assert all(name in str(caught.value) for name in CHANNEL_METRICS)


@pytest.mark.parametrize("weight", [0.0, -1.0, 1e-4, 2e3, float("nan"), float("inf")])
def test_a_weight_out_of_range_is_told_the_range(weight):
    with pytest.raises(UsageError, match=r"of a pair; between 0\.001 and 1000 is needed"):
        ImagePair("a.nii", "b.nii", weight=weight)


def test_sources_have_names_with_the_number_of_the_pair():
    pair = ImagePair("a.nii", "b.nii", moving_mask="m.nii", fixed_weights="w.nii")
    named = [("fixed", "fixed_3", "a.nii"), ("moving", "moving_3", "b.nii"), ("moving_mask", "moving_3_mask", "m.nii")]
    named += [("fixed_weights", "fixed_3_weights", "w.nii")]
    assert list(pair.sources(3)) == named


def test_labels_are_whole_numbers(no_align):
    with pytest.raises(InputError, match="fixed_2 has values that are no whole numbers"):
        run(FIXED, MOVING, [ImagePair(FIXED.data, LABELS.data, metric="labels")])


def test_label_maps_share_a_label():
    other = Image(np.where(LABELS.data > 0, LABELS.data + 10, 0), GRID, "others")
    with pytest.raises(InputError, match="labels and others have no label in common"):
        run(FIXED, MOVING, [ImagePair(LABELS, other, metric="labels")])


def test_a_linear_recipe_compares_no_further_pairs(no_align):
    with pytest.raises(UsageError, match="recipe quick runs no deformable stage"):
        run(FIXED, MOVING, [ImagePair(FIXED, MOVING)], QUICK_RIGID)


def test_what_cannot_be_compared_is_refused(no_align):
    flat, hole = Image(np.ones(SHAPE, np.float32), GRID, "flat"), np.where(INSIDE, FIXED.data, np.nan)
    slices = Image.from_array(np.random.default_rng(0).random((28, 26)), name="slices")
    mask = Image.from_array(np.ones((5, 5, 5)), name="small mask")
    for pair, words in (
        (ImagePair(flat, MOVING), "flat"),
        (ImagePair(Image(hole, GRID, "hole"), MOVING), "hole"),
        (ImagePair(slices, slices), "slices"),
        (ImagePair(FIXED, MOVING, fixed_mask=mask), "small mask"),
    ):
        with pytest.raises(InputError, match=words):
            run(FIXED, MOVING, [pair])


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_report_tells_every_pair(backend):
    pairs = [ImagePair(deformed(OTHER), OTHER, weight=0.5, metric="mean_squares", fixed_mask=image_of(1.0))]
    quick = RECIPE.with_options("syn.iterations=[5, 2]")
    found = run(FIXED, MOVING, pairs, quick, backend)
    terms = [{name: term[name] for name in ("metric", "weight")} for term in found.report["terms"]]
    assert terms == [{"metric": "local_cc", "weight": 1.0}, {"metric": "mean_squares", "weight": 0.5}]
    assert set(found.report["inputs"]) == {"fixed", "moving", "fixed_2", "moving_2", "fixed_2_mask"}
    assert found.report["inputs"]["moving_2"]["shape"] == list(SHAPE)


def test_labels_that_do_not_count_are_said():
    more = replace(LABELS, data=np.where(LABELS.data == LABELS.data.max(), 77, LABELS.data), name="more")
    found = run(
        FIXED, MOVING, [ImagePair(FIXED_LABELS, more, metric="labels")], RECIPE.with_options("syn.iterations=[5, 2]")
    )
    said = [warning for warning in found.report["warnings"] if "count as background" in warning]
    assert len(said) == 2 and "more: 1 labels" in said[1] and said[1].endswith("77")


def test_a_pair_without_force_is_said():
    same = ImagePair(OTHER, OTHER, metric="mean_squares")
    found = run(FIXED, FIXED, [same], RECIPE.with_options("syn.iterations=[5, 2]"))
    strengths = [term["strength"] for term in found.report["terms"]]
    assert strengths[1] < 1e-6
    assert any(warning.startswith("pair 2 (mean_squares) exerts no force") for warning in found.report["warnings"])


def test_without_further_pairs_one_term_is_reported():
    found = run(FIXED, MOVING, [], RECIPE.with_options("syn.iterations=[5, 2]"))
    assert [term["metric"] for term in found.report["terms"]] == ["local_cc"]


def uninformative():
    """The outline of the object, before and after the motion, and noise in it, another in each."""
    outline = image_of(np.ones(SHAPE))
    noise = 0.1 * np.random.default_rng(5).normal(size=(2, *SHAPE))
    pair = zip((deformed(outline), outline), noise, strict=True)
    return [replace(image, data=(image.data * (1 + part)).astype(np.float32)) for image, part in pair]


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_labels_lead_where_the_images_say_nothing(backend):
    images = uninformative()
    alone = run(*images, [], backend=backend)
    led = run(*images, [ImagePair(FIXED_LABELS, LABELS, metric="labels", weight=3)], backend=backend)
    assert agreement(alone) < 0.9 and agreement(led) > 0.95
    assert missed(led) < 0.6 * missed(alone)


def test_another_contrast_leads_where_the_images_say_nothing():
    images = uninformative()
    alone, led = run(*images, []), run(*images, [ImagePair(deformed(OTHER), OTHER, weight=3)])
    assert missed(led) < 0.5 * missed(alone)


@pytest.mark.parametrize("labels", [False, True])
def test_pairs_may_lie_on_another_grid(labels):
    still, moved = (FIXED_LABELS, LABELS) if labels else (deformed(OTHER), OTHER)
    resample = warp_labels if labels else warp
    coarse = [resample(image, Affine.identity(), HALF, backend=PLAIN) for image in (still, moved)]
    images = uninformative()
    pair = ImagePair(*coarse, metric="labels" if labels else None)
    found = run(*images, [pair])
    assert missed(found) < 0.8 * missed(run(*images, []))


def test_masks_say_where_a_pair_counts():
    """The wrong half of a pair is masked out: it does no harm."""
    left = np.indices(SHAPE)[0] < 14
    wrong = replace(deformed(OTHER), data=np.where(left, deformed(OTHER).data, np.roll(OTHER.data, 3, axis=1)))
    mask = Image(left.astype(np.uint8), GRID)
    masked = run(FIXED, MOVING, [ImagePair(wrong, OTHER, weight=3, fixed_mask=mask)])
    whole = run(FIXED, MOVING, [ImagePair(wrong, OTHER, weight=3)])
    assert missed(masked) < 0.7 * missed(whole)


def test_weights_say_how_much_a_pair_counts():
    """As masks do where they are 0 or 1, here on a grid of half as many voxels; weights of the other image likewise."""
    left = np.indices(SHAPE)[0] < 14
    wrong = replace(deformed(OTHER), data=np.where(left, deformed(OTHER).data, np.roll(OTHER.data, 3, axis=1)))
    weights = Image(5.0 * (np.indices(HALF.shape)[0] < 7), HALF)
    whole = missed(run(FIXED, MOVING, [ImagePair(wrong, OTHER, weight=3)]))
    for side in ("fixed_weights", "moving_weights"):
        assert missed(run(FIXED, MOVING, [ImagePair(wrong, OTHER, weight=3, **{side: weights})])) < 0.7 * whole


def test_a_pair_may_have_a_contrast_of_its_own():
    inverted = replace(OTHER, data=np.where(INSIDE, OTHER.data.max() + 0.2 - OTHER.data, 0).astype(np.float32))
    for contrast, shown in (("given", ("as given",)), ("predicted", CURVES)):
        pair = ImagePair(deformed(OTHER), inverted, contrast=contrast)
        first, second = run(FIXED, MOVING, [pair], RECIPE.with_options("syn.iterations=[2, 1]")).report["terms"]
        assert first["contrast"] == "as given" and second["contrast"] in shown
    with pytest.raises(
        UsageError, match="contrast 'inverted' of a pair is unknown; choose from auto, given, predicted"
    ):
        ImagePair("a.nii", "b.nii", contrast="inverted")


def test_axes_of_pairs_may_be_in_any_order():
    """A pair whose slices lie along its first axis says the same as one of the usual order."""
    turned = []
    for image in (deformed(OTHER), OTHER):
        thin = warp(image, Affine.identity(), THICK, backend=PLAIN)
        affine = thin.grid.affine[:, [2, 0, 1, 3]]
        turned.append((thin, Image(thin.data.transpose(2, 0, 1).copy(), Grid((6, 28, 26), affine))))
    (fixed, fixed_turned), (moving, moving_turned) = turned
    one, other = (run(FIXED, MOVING, [ImagePair(*p)]) for p in ((fixed, moving), (fixed_turned, moving_turned)))
    np.testing.assert_allclose(other.alignment.warp.field, one.alignment.warp.field, atol=0.02)
