"""Images read and written with ANTsPy's arguments."""

from __future__ import annotations

import ants
import nibabel
import numpy as np
import pytest

from warpline import ants as ours
from warpline.errors import InputError, UsageError


def test_images_are_read_and_written(pair, tmp_path):
    ours.image_write(pair[0], tmp_path / "image.nii.gz")
    read = ours.image_read(tmp_path / "image.nii.gz")
    np.testing.assert_array_equal(read.dataobj, pair[0].dataobj)
    np.testing.assert_allclose(read.affine, pair[0].affine)


def test_images_are_read_with_the_arguments_of_antspy(pair, tmp_path):
    path = tmp_path / "image.nii.gz"
    assert ours.image_write(pair[0], path, ri=True) is pair[0] and ours.image_write(pair[0], path, False) is None
    for name in ("unsigned int", "float", "double"):
        theirs = ants.image_read(str(path), 3, name)
        read = ours.image_read(path, 3, name)
        np.testing.assert_array_equal(read.dataobj, theirs.numpy())
        assert read.get_data_dtype() == theirs.numpy().dtype
    for call, error, words in (
        ({"dimension": 2}, InputError, "has 3 axes, and dimension is 2"),
        ({"pixeltype": "short"}, UsageError, "pixeltype is 'short'; choose from unsigned char"),
        ({"reorient": True}, UsageError, "reorient is not offered"),
    ):
        with pytest.raises(error, match=words):
            ours.image_read(path, **call)


def test_a_slice_becomes_a_volume_and_numbers_do_not_wrap(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.full((5, 6), 300, np.int16), np.diag([-2, -2, 1, 1])), tmp_path / "flat.nii")
    assert ours.image_read(tmp_path / "flat.nii").shape == ours.image_read(tmp_path / "flat.nii", 2).shape == (5, 6)
    assert ours.image_read(tmp_path / "flat.nii", 3).shape == (5, 6, 1)
    with pytest.raises(InputError, match="holds values from 300 to 300; uint8 holds 0 to 255"):
        ours.image_read(tmp_path / "flat.nii", pixeltype="unsigned char")
