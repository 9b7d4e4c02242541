"""The images of the scaling benchmark are the same scene on other voxels, and its results are kept as they say."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

import scaling

AFFINE = np.array([[0.0, 0, -1, 80], [1, 0, 0, -107], [0, 1, 0, -46], [0, 0, 0, 1]])


@pytest.mark.parametrize("voxel_size", [2.0, 0.5])
def test_every_place_keeps_its_value_on_other_voxels(voxel_size):
    slope = np.tensordot((2.0, 3.0, 5.0), np.indices((12, 14, 16)), 1).astype(np.float32)
    found = scaling.resampled(nib.Nifti1Image(slope, AFFINE), voxel_size)
    assert found.shape == tuple(round(n / voxel_size) for n in slope.shape)
    np.testing.assert_allclose(found.header.get_zooms(), voxel_size)
    there = np.moveaxis(np.indices(found.shape), 0, -1)
    at = nib.affines.apply_affine(np.linalg.inv(AFFINE) @ found.affine, there)
    inner = ((at > 2.5) & (at < np.array(slope.shape) - 3.5)).all(axis=-1)
    np.testing.assert_allclose(found.get_fdata()[inner], (at @ (2.0, 3.0, 5.0))[inner], rtol=1e-5)


def test_an_image_of_that_voxel_size_is_left_alone():
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.float32), AFFINE)
    assert scaling.resampled(image, 1.0) is image


def test_a_kept_row_can_be_read_aloud():
    for row in json.loads(scaling.RESULTS.read_text())["rows"]:
        assert f"{row['voxel_size']:g} mm" in scaling.line(row)
        assert row["bytes_per_voxel"] == round(row["peak_bytes"] / np.prod(row["shape"]))
