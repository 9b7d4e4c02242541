"""Vector images: frames, layouts, refusals."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from oblique_pair import MOVING
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.vectors import (
    FRAMES,
    StoredVectors,
    from_world,
    read_components,
    read_series,
    read_vectors,
    to_world,
    write_vectors,
)
from warpline.space.grid import Grid


def written(path, shape=(4, 5, 6, 1, 3), intent=1007, dtype=np.float32, affine=None):
    data = (10 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    image = nibabel.Nifti1Image(data, MOVING.affine if affine is None else affine)
    image.header["intent_code"] = intent
    nibabel.save(image, path)
    return data


@pytest.mark.parametrize(("shape", "intent"), [((4, 5, 6, 1, 3), 1007), ((4, 5, 6, 3), 0), ((4, 5, 6, 3), 1007)])
def test_layout_and_intent_survive(tmp_path, shape, intent):
    data = written(tmp_path / "v.nii.gz", shape, intent)
    stored = read_vectors(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(stored.image.data, data.reshape(4, 5, 6, 3))
    write_vectors(stored.image, tmp_path / "again.nii.gz", stored)
    again = nibabel.load(tmp_path / "again.nii.gz")
    assert again.shape == shape and again.header["intent_code"] == intent
    np.testing.assert_array_equal(again.get_fdata(), data)


@pytest.mark.parametrize(("count", "intent", "dtype"), [(6, 1005, "float32"), (3, 1007, "int16"), (2, 0, "uint8")])
def test_components_on_the_fifth_axis_are_carried_each(tmp_path, count, intent, dtype):
    data = written(tmp_path / "v.nii", (4, 5, 6, 1, count), intent, dtype)
    if intent:
        with pytest.raises(UsageError, match="--vectors none carries each component by itself"):
            read_series(tmp_path / "v.nii", "image")
    found = read_components(tmp_path / "v.nii", "image")
    np.testing.assert_array_equal(found.data, data[:, :, :, 0])
    assert found.data.dtype == dtype and found.grid == Grid((4, 5, 6), MOVING.affine)


def test_scaled_integers_are_read(tmp_path):
    data = written(tmp_path / "v.nii", dtype=np.int16)
    image = nibabel.load(tmp_path / "v.nii")
    np.testing.assert_allclose(read_vectors(tmp_path / "v.nii").image.data, data.reshape(4, 5, 6, 3), rtol=1e-6)
    header = image.header.copy()
    header.set_slope_inter(0.5, 2)
    scaled = nibabel.Nifti1Image(image.get_fdata(), image.affine, header)
    nibabel.save(scaled, tmp_path / "s.nii")
    np.testing.assert_allclose(read_vectors(tmp_path / "s.nii").image.data, data.reshape(4, 5, 6, 3), atol=0.3)


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_lead_there_and_back(frame):
    image = Image(np.random.default_rng(0).normal(size=(*MOVING.shape, 3)).astype(np.float32), MOVING)
    np.testing.assert_allclose(from_world(to_world(image, frame), frame).data, image.data, atol=1e-6)


def test_frames_mean_what_they_say():
    first = Image(np.broadcast_to(np.float32([1, 0, 0]), (*MOVING.shape, 3)), MOVING)
    directions = MOVING.affine[:3, 0] / MOVING.voxel_size[0]
    np.testing.assert_allclose(to_world(first, "voxel").data[0, 0, 0], directions, atol=1e-6)
    np.testing.assert_array_equal(to_world(first, "lps").data[0, 0, 0], [-1, 0, 0])
    with pytest.raises(UsageError, match="choose from ras, lps, voxel"):
        to_world(first, "fsl")


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 2), (4, 5, 6, 1, 2), (4, 5, 3)])
def test_other_shapes_are_refused(tmp_path, shape):
    written(tmp_path / "v.nii", shape)
    with pytest.raises(InputError, match=r"v\.nii is of shape"):
        read_vectors(tmp_path / "v.nii")


def test_vectors_are_not_kept_in_ome_zarr(tmp_path):
    image = Image(np.zeros((2, 2, 2, 3), np.float32), Grid((2, 2, 2), np.eye(4)))
    with pytest.raises(UsageError, match="not written to OME-Zarr"):
        write_vectors(image, tmp_path / "v.ome.zarr", StoredVectors(image, 1007, True))
    with pytest.raises(InputError, match="not from OME-Zarr"):
        read_vectors(tmp_path / "v.ome.zarr")


def test_nan_and_other_files_are_refused(tmp_path):
    (tmp_path / "text.nii").write_text("no image")
    with pytest.raises(InputError, match=r"text\.nii is no NIfTI file"):
        read_vectors(tmp_path / "text.nii")
    nibabel.save(nibabel.Nifti1Image(np.full((2, 2, 2, 3), np.nan, np.float32), np.eye(4)), tmp_path / "nan.nii")
    with pytest.raises(InputError, match="NaN or infinite vectors"):
        read_vectors(tmp_path / "nan.nii")
    with pytest.raises(InputError, match="three components"):
        to_world(Image(np.zeros(MOVING.shape), MOVING), "ras")
