"""Images that cannot be computed with are refused with their name, what came and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.images import Image
from warpline.images.checks import (
    check_contrast,
    check_finite,
    check_labels,
    check_mask,
    check_one_volume,
    check_weights,
)
from warpline.space.grid import Grid

SHAPE = (8, 9, 10)


def image(data=None, name="f.nii", offset=(0, 0, 0)):
    """An array, else noise, on a grid of 1 mm."""
    data = np.random.default_rng(0).normal(size=SHAPE) if data is None else data
    affine = np.eye(4)
    affine[:3, 3] = offset
    return Image(data, Grid(data.shape[:3], affine), name)


def mask(marked=True, shape=SHAPE, **options):
    data = np.zeros(shape, np.uint8)
    data[2:6, 2:6, 2:6] = marked
    return image(data, "m.nii", **options)


def test_a_series_of_volumes_is_refused():
    check_one_volume(image())
    with pytest.raises(InputError, match=r"f\.nii is 4-D, shape \(8, 9, 10, 4\); registration needs one volume"):
        check_one_volume(image(np.zeros((*SHAPE, 4))))


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        ((1, 2, 3), np.nan, r"f\.nii has 1 NaN or infinite value, the first at voxel \(1, 2, 3\); replace them"),
        (slice(2, 4), -np.inf, r"f\.nii has 180 NaN or infinite values, the first at voxel \(2, 0, 0\)"),
    ],
)
def test_values_that_are_not_finite_are_counted(at, value, message):
    bad = image()
    bad.data[at] = value
    with pytest.raises(InputError, match=message):
        check_finite(bad)


@pytest.mark.parametrize("dtype", [np.float64, np.int16, bool])
def test_finite_values_of_any_type_pass(dtype):
    check_finite(image(np.ones(SHAPE, dtype)))


def test_a_mask_on_the_grid_of_its_image_passes():
    check_mask(mask(), image())


def test_labels_are_whole_numbers_other_than_0():
    labels = mask()
    check_labels(labels)
    check_labels(image(labels.data.astype(np.float32)))
    with pytest.raises(InputError, match=r"f\.nii holds 0.5; labels are whole numbers: give a label map"):
        check_labels(image(labels.data / 2))
    with pytest.raises(InputError, match=r"m\.nii is 0 everywhere; give labels other than 0"):
        check_labels(mask(marked=False))


@pytest.mark.parametrize("check", [check_mask, check_weights])
def test_a_mask_may_lie_on_any_grid_that_reaches_its_image(check):
    for other in (mask(shape=(8, 9, 11)), mask(offset=(0, 0.1, 0)), mask(offset=(5, 0, 0))):
        check(other, image())
    message = r"m\.nii has no voxel other than 0 within f\.nii; it must cover part of that image in world space"
    with pytest.raises(InputError, match=message):
        check(mask(offset=(6, 0, 0)), image())


def test_an_empty_mask_is_refused():
    with pytest.raises(InputError, match=r"m\.nii is 0 everywhere; mark the voxels to use"):
        check_mask(mask(marked=False), image())


def test_a_mask_is_checked_as_images_are():
    with pytest.raises(InputError, match=r"m\.nii is 4-D"):
        check_mask(mask(shape=(*SHAPE, 2)), image())
    with pytest.raises(InputError, match=r"m\.nii has 720 NaN"):
        check_mask(image(np.full(SHAPE, np.nan), "m.nii"), image())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.full(SHAPE, -0.5), r"m\.nii has weights down to -0\.5; 0, not at all, and above are allowed"),
        (np.zeros(SHAPE), r"m\.nii is 0 everywhere; give what counts fully the largest value"),
        (np.full(SHAPE, np.inf), r"m\.nii has 720 NaN or infinite"),
        (np.ones((*SHAPE, 2)), r"m\.nii is 4-D"),
    ],
)
def test_weights_that_say_nothing_are_refused(data, message):
    with pytest.raises(InputError, match=message):
        check_weights(image(data, "m.nii"), image())


def test_an_image_of_one_value_is_refused():
    check_contrast(image())
    with pytest.raises(InputError, match=r"f\.nii is constant: 3\.0 everywhere; an image with contrast is needed"):
        check_contrast(image(np.full(SHAPE, 3.0)))


def test_contrast_must_lie_inside_the_mask():
    flat = image()
    flat.data[mask().data != 0] = 7
    check_contrast(flat)
    check_contrast(flat, mask(offset=(4, 0, 0)))
    with pytest.raises(InputError, match=r"f\.nii is constant: 7\.0 everywhere inside m\.nii"):
        check_contrast(flat, mask())


def test_a_tensor_with_channels_first_is_told_from_a_series():
    with pytest.raises(InputError, match=r"begins with its channels, take f\.nii\[0\]"):
        check_one_volume(image(np.zeros((1, 8, 9, 10))))
