"""What an image and its mask must be, each refusal with the name, what came and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.images.checks import check_contrast, check_finite, check_mask, check_one_volume
from warpline.images.image import Image

VOLUME = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


def named(data, name="f.nii"):
    return Image.from_array(np.asarray(data), None, name)


def test_a_sound_image_and_mask_pass():
    image, mask = named(VOLUME), named(VOLUME > 5, "m.nii")
    check_one_volume(image)
    check_finite(image)
    check_mask(mask, image)
    check_contrast(image, mask)


def test_a_series_is_no_volume():
    with pytest.raises(InputError, match=r"f\.nii is 4-D, shape \(3, 4, 5, 2\)"):
        check_one_volume(named(np.stack([VOLUME, VOLUME], axis=-1)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_voxel_that_is_not_finite_is_named(value):
    bad = VOLUME.copy()
    bad[1, 2, 3:] = value
    with pytest.raises(InputError, match=r"f\.nii has 2 NaN or infinite values, the first at voxel \(1, 2, 3\)"):
        check_finite(named(bad))


def test_integers_are_always_finite():
    check_finite(named(VOLUME.astype(np.int16)))


def test_a_mask_lies_on_the_grid_and_marks_something():
    with pytest.raises(InputError, match=r"m\.nii .* does not lie on the grid of f\.nii"):
        check_mask(named(VOLUME[:2], "m.nii"), named(VOLUME))
    with pytest.raises(InputError, match=r"m\.nii is 0 everywhere"):
        check_mask(named(0 * VOLUME, "m.nii"), named(VOLUME))


def test_contrast_is_asked_for_inside_the_mask_only():
    inside = VOLUME < 12
    flat = np.where(inside, 7, VOLUME)
    check_contrast(named(flat))
    with pytest.raises(InputError, match=r"f\.nii is constant: 7\.0 everywhere inside m\.nii"):
        check_contrast(named(flat.astype(np.float32)), named(inside, "m.nii"))
