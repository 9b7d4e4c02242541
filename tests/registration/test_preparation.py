"""Preparation: metrics see prepared images, results are of the given ones, and the report says what was done."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from made_registrations import NO_STAGES, QUICK, QUICK_RIGID, made_pair
from synthetic import ellipsoid
from warpline import ImagePair, register
from warpline.backends import select
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.recipe import Prepare
from warpline.registration import result
from warpline.registration.preparation import STEPS, check_libraries, prepare

EVERYTHING = (
    "prepare.mask=median_otsu",
    "prepare.bias_correction=n4",
    "prepare.denoise=nlmeans",
    "prepare.winsorise=[0.005, 0.995]",
    "prepare.match_histogram=true",
)
PLAIN = select("numpy")


def prepared(*images, pairs=(), backend=PLAIN, **asked):
    given = dict(zip(("fixed", "moving", "fixed_mask", "moving_mask"), images or made_pair(), strict=False))
    return prepare(given, pairs, Prepare(**asked), backend=backend, threads=1)


def shaded(image):
    """The image under a bias field from 0.6 to 1.6."""
    ramp = np.linspace(np.log(0.6), np.log(1.6), image.data.shape[0])[:, None, None]
    return replace(image, data=(image.data * np.exp(ramp)).astype(np.float32))


def done(steps):
    return [(step.image, step.step) for step in steps]


def test_nothing_asked_leaves_everything():
    fixed, moving = made_pair()
    found = prepared(fixed, moving)
    assert found.images == {"fixed": fixed, "moving": moving}
    assert (found.pairs, found.steps, found.notes) == ((), (), ())


def test_n4_says_how_far_it_is():
    told, images = [], dict(zip(("fixed", "moving"), map(shaded, made_pair()), strict=True))
    prepare(images, (), Prepare(bias_correction="n4"), backend=PLAIN, threads=1, progress=told.append)
    assert list(dict.fromkeys(step.stage for step in told)) == ["n4 of fixed", "n4 of moving"]
    assert {step.measure for step in told} == {"change"} and max(step.level for step in told) < told[0].levels == 4


@pytest.fixture
def compared(monkeypatch):
    """The images that `align` was called with."""
    seen = {}

    def align(**options):
        seen.update(options)
        return original(**options)

    original = result.align
    monkeypatch.setattr(result, "align", align)
    return seen


def test_metrics_see_prepared_images_and_results_the_given_ones(compared):
    fixed, moving = made_pair()
    found = register(fixed, moving, QUICK_RIGID.with_options(*EVERYTHING), backend="numpy", threads=1)
    assert (found.alignment.fixed, found.alignment.moving) == (fixed, moving)
    assert not np.array_equal(compared["moving"].data, moving.data)
    assert compared["fixed_mask"].grid == fixed.grid and compared["moving_mask"].grid == moving.grid
    assert found.warped.data.max() > 0.95 * moving.data.max()
    assert found.inverse_warped.data.max() > 0.95 * fixed.data.max()
    expected = [("fixed", step) for step in STEPS] + [("moving", step) for step in STEPS]
    steps = found.report["preparation"]
    assert [(one["image"], one["step"]) for one in steps] == [*expected, ("moving", "match_histogram")]
    assert {one["library"].split()[0] for one in steps if one["library"]} == {"SimpleITK", "dipy"}
    assert found.report["seconds"]["preparation"] > 0


def test_results_without_stages_are_of_the_given_images():
    options = {"initial": np.eye(4), "backend": "numpy", "threads": 1}
    plain = register(*made_pair(), NO_STAGES, **options)
    found = register(*made_pair(), NO_STAGES.with_options(*EVERYTHING), **options)
    np.testing.assert_array_equal(found.warped.data, plain.warped.data)
    assert found.report["similarity"] == plain.report["similarity"]
    assert plain.report["preparation"] == []


def test_n4_gives_back_what_a_field_took():
    recipe = QUICK.with_options("syn.metric=mean_squares", "syn.contrast=given")
    fixed, moving = made_pair()
    options = {"backend": "numba", "threads": 1}
    true = register(fixed, moving, recipe, **options)
    wrong = register(fixed, shaded(moving), recipe, **options)
    corrected = recipe.with_options(
        "prepare.bias_correction=n4", "prepare.bias_correction_of=moving", "prepare.shrink=2"
    )
    found = register(fixed, shaded(moving), corrected, **options)
    points = np.moveaxis(np.indices(fixed.grid.shape), 0, -1)[ellipsoid(fixed.grid.shape, 0.38)]
    points = points @ fixed.affine[:3, :3].T + fixed.affine[:3, 3]

    def distance(one):
        return np.linalg.norm(one.transform.map_points(points) - true.transform.map_points(points), axis=1).mean()

    assert distance(found) < 0.7 * distance(wrong)


def test_steps_of_one_image_leave_the_other():
    fixed, moving = made_pair()
    found = prepared(fixed, moving, winsorise=(0.05, 0.95), winsorise_of="moving")
    assert found.images["fixed"] is fixed
    assert done(found.steps) == [("moving", "winsorise")]
    low, high = found.steps[0].parameters["values"]
    assert found.images["moving"].data.max() == np.float32(high) and 0 < low < high


def test_a_given_mask_wins_over_a_computed_one():
    fixed, moving = (replace(image, name=name) for image, name in zip(made_pair(), ("f.nii", "m.nii"), strict=True))
    mask = Image((fixed.data > 0).astype(np.uint8), fixed.grid, "mask.nii")
    found = prepared(fixed, moving, mask, mask="median_otsu", winsorise=(0.1, 0.9))
    assert found.images["fixed_mask"] is mask
    assert found.images["moving_mask"].name == "mask of m.nii"
    assert found.notes == ("prepare.mask: fixed has a mask already, which counts",)
    assert [step.parameters["inside"] for step in found.steps if step.step == "winsorise"] == ["given", "median_otsu"]


@pytest.mark.parametrize("dilation", [0, 1, 2])
def test_computed_masks_hold_the_object_and_a_margin(dilation):
    fixed, moving = made_pair()
    mask = prepared(fixed, moving, mask="median_otsu", mask_of="fixed", mask_dilation=dilation).images["fixed_mask"]
    inside = fixed.data > 0
    assert (mask.data[inside] != 0).mean() > 0.9
    grown = np.count_nonzero(mask.data) / np.count_nonzero(inside)
    assert 0.9 + 0.2 * dilation < grown < 1.1 + 0.3 * dilation


def test_matching_brings_the_moving_histogram_to_the_fixed_one():
    fixed, moving = made_pair()
    darker = replace(moving, data=(0.3 * moving.data**1.3).astype(np.float32))
    found = prepared(fixed, darker, match_histogram=True)
    assert found.images["fixed"] is fixed
    middle = [np.median(image.data[image.data > 0]) for image in (fixed, found.images["moving"], darker)]
    assert abs(middle[1] - middle[0]) < 0.1 * abs(middle[2] - middle[0])


def test_matched_histograms_of_unlike_contrasts_are_warned_of():
    fixed, moving = made_pair()
    other = replace(moving, data=np.where(moving.data > 0, (moving.data - 1) ** 2 + 0.1, 0).astype(np.float32))
    recipe = QUICK_RIGID.with_options("prepare.match_histogram=true")
    warnings = register(fixed, other, recipe, backend="numpy").report["warnings"]
    assert any("leave out prepare.match_histogram" in line for line in warnings)
    warnings = register(fixed, moving, recipe, backend="numpy").report["warnings"]
    assert not any("match_histogram" in line for line in warnings)


def test_further_pairs_are_prepared_and_label_maps_are_not():
    fixed, moving = made_pair()
    labels = [replace(image, data=np.rint(image.data * 3)) for image in (fixed, moving)]
    pairs = [ImagePair(fixed, moving), ImagePair(*labels, metric="labels")]
    recipe = QUICK.with_options("prepare.winsorise=[0.05, 0.95]")
    steps = register(fixed, moving, recipe, backend="numba", threads=1, pairs=pairs).report["preparation"]
    assert [one["image"] for one in steps] == ["fixed", "moving", "fixed_2", "moving_2"]


def test_a_shared_image_is_prepared_once():
    backend = select("numpy")
    fixed, moving = made_pair()
    backend.cache.share(fixed)
    first, again = (prepared(fixed, moving, backend=backend, winsorise=(0.05, 0.95)) for _ in range(2))
    assert again.images["fixed"] is first.images["fixed"]
    assert again.images["moving"] is not first.images["moving"]
    assert backend.cache.is_shared(first.images["fixed"])
    assert prepared(fixed, moving, backend=backend, winsorise=(0.1, 0.9)).images["fixed"] is not first.images["fixed"]


def test_steps_that_leave_no_contrast_are_refused():
    fixed, moving = made_pair()
    mask = Image((fixed.data > 0).astype(np.uint8), fixed.grid, "mask.nii")
    flat = replace(fixed, data=np.where(fixed.data > np.median(fixed.data), 1 + fixed.data // 1, 0), name="flat.nii")
    flat.data[15, 14, 13] = 9
    with pytest.raises(InputError, match=r"flat\.nii, prepared by winsorise, is constant"):
        prepared(flat, moving, mask, winsorise=(0.4, 0.6))


def test_an_image_below_0_has_no_bias_field():
    fixed, moving = made_pair()
    below = replace(fixed, data=fixed.data - 100, name="ct.nii")
    with pytest.raises(
        InputError, match=r"ct\.nii: .* N4 needs two axes, .* above 0; leave prepare\.bias_correction out"
    ):
        prepared(below, moving, bias_correction="n4")


@pytest.mark.parametrize(
    ("asked", "library", "message"),
    [
        ({"bias_correction": "n4"}, "SimpleITK", r'prepare\.bias_correction needs SimpleITK.*"warpline\[itk\]"'),
        ({"match_histogram": True}, "SimpleITK", r"prepare\.match_histogram needs SimpleITK"),
        ({"denoise": "nlmeans"}, "dipy", r'prepare\.denoise needs dipy, .*pip install "warpline\[denoise\]"'),
    ],
)
def test_a_missing_library_is_named_before_anything_is_read(asked, library, message, monkeypatch):
    check_libraries(Prepare(**asked))
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=message):
        register("missing.nii", "missing.nii", QUICK_RIGID.model_copy(update={"prepare": Prepare(**asked)}))
