"""Images: arrays that fit their grid."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.images import Image, embed_affine
from warpline.space.grid import Grid


def test_data_must_fit_the_grid():
    with pytest.raises(InputError, match=r"T1.nii: array of shape \(2, 3, 5\) does not fit grid \(2, 3, 4\)"):
        Image(np.zeros((2, 3, 5)), Grid((2, 3, 4), np.eye(4)), "T1.nii")
    with pytest.raises(InputError, match="does not fit"):
        Image(np.zeros((2, 3)), Grid((2, 3, 1), np.eye(4)))


def test_a_series_has_the_grid_of_its_volumes():
    image = Image.from_array(np.zeros((4, 5, 6, 7)))
    assert image.grid.shape == (4, 5, 6)
    assert image.data.shape == (4, 5, 6, 7)


def test_a_slice_becomes_one_voxel_thick():
    plane = np.arange(12, dtype=np.int16).reshape(3, 4)
    image = Image.from_array(plane)
    assert image.grid.shape == (3, 4, 1)
    assert image.data.dtype == np.int16
    np.testing.assert_array_equal(image.data[..., 0], plane)


def test_the_array_is_not_copied_or_converted():
    labels = np.full((2, 2, 2), 2**40 + 1, dtype=np.int64)
    assert Image.from_array(labels).data is labels


def test_affine_is_that_of_the_grid_and_identity_by_default():
    affine = np.diag([-1.0, 2, 3, 1])
    image = Image.from_array(np.zeros((2, 2, 2)), affine, "here")
    np.testing.assert_array_equal(image.affine, affine)
    assert image.affine is image.grid.affine
    assert image.name == "here"
    np.testing.assert_array_equal(Image.from_array(np.zeros((2, 2, 2))).affine, np.eye(4))


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2, 2), ()])
def test_other_numbers_of_axes_are_refused(shape):
    with pytest.raises(InputError, match=f"scan has {len(shape)} axes; 2, 3 or 4 are allowed"):
        Image.from_array(np.zeros(shape), name="scan")


def test_a_plane_affine_leaves_the_third_axis_alone():
    plane = np.array([[0.0, -2, 10], [3, 0, 20], [0, 0, 1]])
    expected = [[0, -2, 0, 10], [3, 0, 0, 20], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(embed_affine(plane), expected)
    np.testing.assert_array_equal(Image.from_array(np.zeros((2, 2)), plane).affine, expected)


def test_an_affine_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"shape \(2, 2\)"):
        Image.from_array(np.zeros((2, 2)), np.eye(2))


def test_other_libraries_read_the_values_without_a_copy():
    image = Image.from_array(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    read = np.from_dlpack(image)
    assert np.shares_memory(read, image.data) and read.shape == (2, 3, 4)


def test_an_affine_holds_numbers():
    with pytest.raises(InputError, match="scan: its affine holds values of type <U1; real numbers are needed"):
        Image.from_array(np.zeros((2, 2)), "x", name="scan")
