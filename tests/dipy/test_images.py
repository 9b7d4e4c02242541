"""Loading and saving against DIPY's own."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from warpline import dipy as ours
from warpline.errors import OutputError, UsageError

theirs = pytest.importorskip("dipy.io.image")
AFFINE = np.array([[-2.0, 0, 0, 10], [0, 2, 0.5, -8], [0, -0.5, 3, 1], [0, 0, 0, 1]])


@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz"])
def test_files_cross_over(tmp_path, name):
    data = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    ours.save_nifti(tmp_path / name, data, AFFINE)
    extras = {"return_img": True, "return_voxsize": True, "return_coords": True}
    for module in (ours, theirs):
        array, affine, image, sizes, codes = module.load_nifti(tmp_path / name, **extras)
        np.testing.assert_array_equal(array, data)
        np.testing.assert_allclose(affine, AFFINE)
        assert image.shape == data.shape and codes == nibabel.aff2axcodes(AFFINE)
        np.testing.assert_allclose(sizes, np.linalg.norm(AFFINE[:3, :3], axis=0), rtol=1e-6)
    np.testing.assert_array_equal(ours.load_nifti_data(tmp_path / name), data)


def test_64_bit_integers_need_a_word(tmp_path):
    with pytest.raises(UsageError, match=r"numpy\.int32"):
        ours.save_nifti(tmp_path / "a.nii", np.zeros((2, 2, 2), np.int64), AFFINE)
    ours.save_nifti(tmp_path / "a.nii", np.ones((2, 2, 2), np.int64), AFFINE, dtype=np.int32)
    assert ours.load_nifti(tmp_path / "a.nii")[0].dtype == np.int32


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        ours.save_nifti(tmp_path / "nowhere" / "a.nii", np.zeros((2, 2, 2), np.float32), AFFINE)
