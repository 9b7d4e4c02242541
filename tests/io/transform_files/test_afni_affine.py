"""AFNI's affines: hand-computed points, obliquity, and what nitransforms makes of them."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from nitransforms.io.afni import AFNILinearTransform

from made_transforms import PAIRS, PLUMB, inner_points, made_affine, made_pair, turned_grid
from warpline.errors import InputError
from warpline.io.transform_files import identify, read_transform, write_transform
from warpline.space.grid import Grid

BETWEEN = Grid((6, 7, 8), np.array([(2, -1, 2, 0), (2, 2, -1, 0), (-1, 2, 2, 0), (0, 0, 0, 3)]) / 3)
"""Two of its axes are nearest to the same axis of the world."""


def image_of(grid):
    return nibabel.Nifti1Image(np.zeros(grid.shape, np.float32), grid.affine)


def test_points_by_hand(tmp_path):
    (tmp_path / "a.aff12.1D").write_text(
        "# 3dAllineate matrices (DICOM-to-DICOM, row-by-row):\n 1 0 0 5 0 1 0 0 0 0 2 0\n"
    )
    # no grid oblique: RAS (7, 2, 3) is LPS (-7, -2, 3), goes to LPS (-2, -2, 6)
    ours = read_transform(tmp_path / "a.aff12.1D", fixed=PLUMB, moving=PLUMB)
    np.testing.assert_allclose(ours.map_points([7, 2, 3]), (2, 2, 6), atol=1e-12)
    # fixed grid turned by 30 degrees: AFNI sees its voxel (1, 0, 0) at RAS (12, 0, 0), which is LPS (-12, 0, 0)
    # and goes to LPS (-7, 0, 0)
    fixed = turned_grid(30)
    ours = read_transform(tmp_path / "a.aff12.1D", fixed=fixed, moving=PLUMB)
    np.testing.assert_allclose(ours.map_points((fixed.affine @ (1, 0, 0, 1))[:3]), (7, 0, 0), atol=1e-12)
    # moving grid turned: what AFNI sees at RAS (12, 0, 0) is its voxel (1, 0, 0); RAS (17, 0, 0) goes there
    ours = read_transform(tmp_path / "a.aff12.1D", fixed=PLUMB, moving=fixed)
    np.testing.assert_allclose(ours.map_points([17, 0, 0]), (fixed.affine @ (1, 0, 0, 1))[:3], atol=1e-12)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_nitransforms_reads_the_same_matrix(tmp_path, fixed_axes, moving_axes):
    fixed, moving = made_pair(fixed_axes, moving_axes)
    write_transform(made_affine(), tmp_path / "a.aff12.1D", fixed=fixed, moving=moving)
    theirs = AFNILinearTransform.from_filename(tmp_path / "a.aff12.1D")
    matrix = theirs.to_ras(reference=image_of(fixed), moving=image_of(moving))
    points = inner_points(fixed)
    mapped = points @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(mapped, made_affine().map_points(points), atol=1e-4)
    back = read_transform(tmp_path / "a.aff12.1D", fixed=fixed, moving=moving)
    np.testing.assert_allclose(back.matrix, made_affine().matrix, atol=1e-12)


def test_a_series_and_missing_images_are_refused(tmp_path):
    (tmp_path / "a.1D").write_text("1 0 0 5 0 1 0 0 0 0 1 0\n" * 3)
    with pytest.raises(InputError, match=r"a\.1D holds 3 matrices, one per volume"):
        read_transform(tmp_path / "a.1D", fixed=PLUMB, moving=PLUMB)
    (tmp_path / "a.1D").write_text("1 0 0 5 0 1 0 0 0 0 1 0\n")
    with pytest.raises(InputError, match=r"AFNI's matrices count from grids without obliquity; .* fixed= and moving="):
        read_transform(tmp_path / "a.1D")
    assert "AFNI's matrices" in identify(tmp_path / "a.1D").needs
    with pytest.raises(InputError, match="so oblique that two of its axes"):
        read_transform(tmp_path / "a.1D", fixed=PLUMB, moving=BETWEEN)
