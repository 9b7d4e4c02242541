"""FSL's millimetres, against fslpy."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from made_transforms import AXES, made_grid
from warpline.io.images import read_grid
from warpline.io.transform_files import fsl_space

image = pytest.importorskip("fsl.data.image")


@pytest.mark.parametrize("axes", AXES)
def test_fslpy_counts_alike(axes, tmp_path):
    grid = made_grid(axes)
    nibabel.save(nibabel.Nifti1Image(np.zeros(grid.shape, np.float32), grid.affine), tmp_path / "image.nii")
    theirs, ours = image.Image(str(tmp_path / "image.nii")), read_grid(tmp_path / "image.nii")
    np.testing.assert_allclose(fsl_space.from_voxels(ours), theirs.getAffine("voxel", "fsl"), atol=1e-4)
    np.testing.assert_allclose(fsl_space.to_world(ours), theirs.getAffine("fsl", "world"), atol=1e-4)


def test_sizes_are_those_that_the_header_states(tmp_path):
    made = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.float32), np.diag([2.0, 2, 2, 1]))
    made.header["pixdim"][1:4] = 1, 2, 3
    made.to_filename(tmp_path / "image.nii")
    content = bytearray((tmp_path / "image.nii").read_bytes())
    content[80:92] = np.array([1, 2, 3], "<f4").tobytes()
    (tmp_path / "image.nii").write_bytes(content)
    np.testing.assert_array_equal(fsl_space.sizes(read_grid(tmp_path / "image.nii")), [1, 2, 3])


def test_grids_without_a_header_count_by_their_affine():
    grid = made_grid("straight")
    np.testing.assert_array_equal(fsl_space.sizes(grid), grid.voxel_size)
    np.testing.assert_allclose(fsl_space.from_voxels(grid) @ [grid.shape[0] - 1, 0, 0, 1], [0, 0, 0, 1])
