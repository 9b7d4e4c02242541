"""Motion of a series, beside ANTsPy's return values."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from made_series import largest_error, made_series
from warpline import ants as ours
from warpline.errors import UsageError
from warpline.io.transform_files import read_transform


@pytest.fixture(scope="module")
def made():
    return made_series(3)


def test_results_are_those_of_antspy(made, tmp_path):
    image = nibabel.Nifti1Image(made.data, made.grid.affine)
    first = nibabel.Nifti1Image(made.data[..., 0], made.grid.affine)
    found = ours.motion_correction(image, fixed=first, outprefix=f"{tmp_path}/m_")
    assert found["motion_corrected"].shape == image.shape
    matrices = [read_transform(files[0]).matrix for files in found["motion_parameters"]]
    assert largest_error(matrices, made.matrices, made.grid) < 0.1
    moved = ours.apply_transforms(
        first, nibabel.Nifti1Image(made.data[..., 2], made.grid.affine), found["motion_parameters"][2]
    )
    again = found["motion_corrected"].get_fdata()[..., 2]
    assert np.corrcoef(moved.get_fdata().ravel(), again.ravel())[0, 1] > 0.99


def test_displacement_is_antspys(made, tmp_path):
    """By ANTs' formula on its own transforms of the same files."""
    ants = pytest.importorskip("ants")
    found = ours.motion_correction((made.data, made.grid.affine), outprefix=f"{tmp_path}/m_")
    mask = (made.data[..., 0] > 300).astype(np.uint8)
    masked = ours.motion_correction(
        (made.data, made.grid.affine), mask=(mask, made.grid.affine), outprefix=f"{tmp_path}/n_"
    )
    centre = nibabel.affines.apply_affine(made.grid.affine, np.argwhere(mask)).mean(axis=0) * (-1, -1, 1)
    corners = np.array([p for p in np.ndindex(3, 3, 3) if np.abs(np.array(p) - 1).sum() == 2]) - 1
    points = [
        [
            ants.apply_ants_transform_to_point(ants.read_transform(files[0]), tuple(centre + corner * 25.0))
            for corner in corners
        ]
        for files in masked["motion_parameters"]
    ]
    expected = np.abs(np.diff(np.array(points), axis=0)).mean(axis=1).sum(axis=1)
    np.testing.assert_allclose(masked["FD"][1:], expected, rtol=1e-4)
    assert found["FD"][0] == 0


def test_other_types_are_refused(made):
    with pytest.raises(UsageError, match="BOLDRigid"):
        ours.motion_correction((made.data, made.grid.affine), type_of_transform="SyN")
