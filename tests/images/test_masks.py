"""Masks and weights on another grid than their image."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.images import Image
from warpline.images.masks import check_reaches, on_grid
from warpline.space.grid import Grid, apply_affine

SHAPE = (8, 9, 10)


def grid(shape, spacing=1.0, offset=(0, 0, 0), turned=False):
    """A grid; turned, its first axis runs along world y and its second against world x."""
    affine = np.diag([*([spacing] * 3), 1.0])
    if turned:
        affine[:2, :2] = [[0, -spacing], [spacing, 0]]
    affine[:3, 3] = offset
    return Grid(shape, affine)


def nearest_by_hand(image, onto):
    """Value of the voxel whose box holds each place; 0 where there is none."""
    found = np.zeros(onto.shape, image.data.dtype)
    for index in np.ndindex(*onto.shape):
        place = apply_affine(image.grid.inverse_affine, apply_affine(onto.affine, np.array(index, float)))
        voxel = np.floor(place + 0.5).astype(int)
        if (voxel >= 0).all() and (voxel < image.grid.shape).all():
            found[index] = image.data[tuple(voxel)]
    return found


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64, ">i2"])
@pytest.mark.parametrize(
    "other", [grid((3, 4, 5), 2.1, (-0.3, 0.2, 0.7)), grid((9, 12, 6), 0.9, (6.3, -1.2, 2.4), turned=True)]
)
def test_values_are_those_of_the_nearest_voxels(kind, other):
    image = Image(np.random.default_rng(0).integers(0, 90, other.shape).astype(kind), other, "m.nii")
    found = on_grid(image, grid(SHAPE))
    expected = nearest_by_hand(image, grid(SHAPE))
    assert expected.any() and (expected == 0).any()
    np.testing.assert_array_equal(found.data, expected)
    assert found.grid == grid(SHAPE) and found.name == "m.nii"


def test_an_image_on_the_grid_is_returned_itself():
    image = Image(np.ones(SHAPE, bool), grid(SHAPE), "m.nii")
    assert on_grid(image, grid(SHAPE)) is image
    assert on_grid(image, grid(SHAPE, offset=(1, 0, 0))).data.sum() == 7 * 9 * 10


def test_a_slice_reaches_a_slice_of_the_same_plane():
    slices = [Image(np.eye(8)[..., None], grid((8, 8, 1), offset=(0, 0, z)), f"{z}.nii") for z in (0, 3)]
    check_reaches(slices[0], slices[0])
    with pytest.raises(InputError, match=r"3\.nii has no voxel other than 0 within 0\.nii"):
        check_reaches(slices[1], slices[0])
