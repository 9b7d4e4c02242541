"""Masks that lie elsewhere than on their object."""

from __future__ import annotations

import numpy as np
import pytest

from faulty_headers import flipped, heads, shifted
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.registration.header_check.masks import check_mask


def asymmetric():
    """An image whose object lies to one side of its grid, and the mask of it."""
    image = heads()[1]
    data = np.roll(image.data, 3, axis=0)
    image = Image(data, image.grid, "image")
    return image, Image((data > 0).astype(np.uint8), image.grid, "mask")


def found(mask, image, backend):
    return check_mask(mask, image, normalise(image, backend), backend)


def test_a_right_mask_is_left_alone(numba):
    image, mask = asymmetric()
    assert found(mask, image, numba) == ([], [])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirrored_mask_is_found(axis, numba):
    image, mask = asymmetric()
    image, mask = (Image(np.roll(one.data, 3, axis=1), one.grid, one.name) for one in (image, mask))
    (finding,), _ = found(flipped(mask, axis), image, numba)
    assert finding.kind == "mask orientation" and f"its axis {'ij'[axis]}" in finding.sentence


def test_another_header_is_found_and_which_one_fits(numba):
    image, mask = asymmetric()
    grid, place = found(shifted(mask, (60.0, 0, 0)), image, numba)[0]
    assert "up to 60 mm" in grid.sentence and "its header is that of image" in place.sentence


def test_another_shape_is_found(numba):
    image, mask = asymmetric()
    cropped = Image(mask.data[:, :, 1:], mask.grid.cropped((0, 0, 1), mask.grid.shape), "mask")
    ((finding,), _) = found(cropped, image, numba)
    assert finding.kind == "mask grid" and "resample" in finding.sentence


def test_a_part_of_the_object_tells_nothing(numba):
    image, mask = asymmetric()
    part = np.zeros_like(mask.data)
    part[12:16, 12:16, 12:16] = 1
    findings, undecided = found(Image(part, mask.grid, "part"), image, numba)
    assert findings == [] and "too little" in undecided[0]
