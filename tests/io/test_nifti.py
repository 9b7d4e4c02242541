"""NIfTI files: types, byte order, versions and sizes."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest

from made_images import grid_of, nifti, patched, values_of
from warpline.errors import InputError
from warpline.images import Image
from warpline.io.images import read_grid, read_image, write_image
from warpline.space.grid import Grid


def test_sheared_grid_is_written_as_sform_only(tmp_path):
    affine = np.eye(4)
    affine[0, 1] = 0.3
    write_image(Image(values_of("uint8"), Grid((7, 6, 5), affine)), tmp_path / "a.nii")
    theirs = nibabel.load(tmp_path / "a.nii")
    assert (int(theirs.header["sform_code"]), int(theirs.header["qform_code"])) == (1, 0)
    np.testing.assert_allclose(theirs.affine, affine, atol=1e-6)


@pytest.mark.parametrize(("dtype", "stored"), [("bool", "uint8"), ("float16", "float32")])
def test_types_that_nifti_lacks_are_stored_without_loss(tmp_path, dtype, stored):
    data = np.arange(210).reshape(7, 6, 5).astype(dtype)
    write_image(Image(data, grid_of("axes")), tmp_path / "a.nii")
    back = read_image(tmp_path / "a.nii")
    assert back.data.dtype == stored
    np.testing.assert_array_equal(back.data, data)


def test_long_axes_become_nifti_2(tmp_path):
    data = np.arange(40000, dtype=np.int32).reshape(40000, 1, 1)
    write_image(Image(data, Grid(data.shape, np.eye(4))), tmp_path / "a.nii.gz")
    assert isinstance(nibabel.load(tmp_path / "a.nii.gz"), nibabel.Nifti2Image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").data, data)


def test_reads_big_endian_into_native_order(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.Nifti1Image(values_of("int16").astype(">i2"), np.eye(4), header).to_filename(tmp_path / "a.nii")
    image = read_image(tmp_path / "a.nii")
    assert image.data.dtype == np.dtype("int16") and image.data.dtype.isnative
    np.testing.assert_array_equal(image.data, values_of("int16"))


def test_files_without_a_qfac_are_read_as_by_nibabel(tmp_path):
    theirs = nifti(values_of("int16"), grid_of("oblique").affine)
    theirs.set_qform(grid_of("oblique").affine, 1)
    theirs.set_sform(None, 0)
    (tmp_path / "a.nii").write_bytes(patched(theirs.to_bytes(), 76, "<f", 0.0))
    np.testing.assert_allclose(read_image(tmp_path / "a.nii").affine, grid_of("oblique").affine, atol=1e-5)


@pytest.mark.parametrize("name", ["huge.nii", "huge.nii.gz"])
def test_a_header_claiming_more_than_the_file_is_refused(tmp_path, name):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape((32767, 32767, 32767))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    content = header.binaryblock + bytes(100)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(InputError, match="is truncated"):
        read_grid(tmp_path / name)
