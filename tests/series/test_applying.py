"""Motion from files."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from warpline.errors import InputError, UsageError
from warpline.io.transform_files import itk_text
from warpline.series import apply_motion, register_series
from warpline.space import Affine

NUMPY = {"backend": "numpy", "threads": 1}


def test_saved_motion_moves_the_series_again(bold, tmp_path):
    paths = register_series(bold, "first", **NUMPY).save(f"{tmp_path}/")
    apply_motion(bold, paths["transforms"], tmp_path / "again.nii", **NUMPY)
    first, second = (
        nibabel.load(path).get_fdata(dtype=np.float32) for path in (paths["moved"], tmp_path / "again.nii")
    )
    np.testing.assert_allclose(second, first, atol=1e-3)


def test_each_volume_needs_an_affine(bold, tmp_path):
    path = tmp_path / "motion.txt"
    path.write_bytes(itk_text.encode_affines([Affine.identity()] * 2))
    with pytest.raises(InputError, match="2 affines"):
        apply_motion(bold, path, tmp_path / "out.nii", **NUMPY)
    assert not (tmp_path / "out.nii").exists()


def test_other_names_are_refused(bold, tmp_path):
    with pytest.raises(UsageError, match=r"\.nii"):
        apply_motion(bold, tmp_path / "motion.txt", tmp_path / "out.mgz", **NUMPY)
