"""AFNI's affines and fields: hand-computed points, obliquity, and what nitransforms makes of them."""

from __future__ import annotations

import nibabel
import nitransforms
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension
from nitransforms.io.afni import AFNILinearTransform

from made_transforms import PAIRS, inner_points, made_affine, made_chain, made_displacement, made_pair
from warpline.errors import InputError
from warpline.geometry import Grid
from warpline.io.transform_files import identify, read_transform, write_transform

PLUMB = Grid((6, 7, 8), np.diag([-2.0, 2, 2, 1]))
BETWEEN = Grid((6, 7, 8), np.array([(2, -1, 2, 0), (2, 2, -1, 0), (-1, 2, 2, 0), (0, 0, 0, 3)]) / 3)
"""Two of its axes are nearest to the same axis of the world."""


def oblique(degrees):
    """A grid turned about z, whose first voxel lies at world (10, 0, 0)."""
    turn = np.eye(4)
    angle = np.deg2rad(degrees)
    turn[:2, :2] = (np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))
    turn[0, 3] = 10
    return Grid((6, 7, 8), turn @ np.diag([2.0, 2, 2, 1]))


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
    fixed = oblique(30)
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


def save_field(path, grid, vector, signed):
    values = np.broadcast_to(np.float32(vector), (*grid.shape, 1, 3))
    image = nibabel.Nifti1Image(values, grid.affine)
    if signed:
        image.header.extensions.append(Nifti1Extension(4, b"<?xml version='1.0' ?>\n<AFNI_attributes/>\n"))
    nibabel.save(image, path)


def test_points_of_a_field_by_hand(tmp_path):
    save_field(tmp_path / "w.nii", PLUMB, (1, 2, 3), signed=True)
    ours = read_transform(tmp_path / "w.nii", moving=PLUMB)
    np.testing.assert_allclose(ours.map_points([-4, 4, 4]), (-5, 2, 7), atol=1e-6)
    # moving grid turned: what AFNI sees at RAS (12, 0, 0) is its voxel (1, 0, 0); the point (13, 2, -3) goes there
    moving = oblique(30)
    fixed = Grid((3, 3, 3), np.array([(1, 0, 0, 12), (0, 1, 0, 1), (0, 0, 1, -4), (0, 0, 0, 1.0)]))
    save_field(tmp_path / "w.nii", fixed, (1, 2, 3), signed=True)
    ours = read_transform(tmp_path / "w.nii", moving=moving)
    np.testing.assert_allclose(ours.map_points([13, 2, -3]), (moving.affine @ (1, 0, 0, 1))[:3], atol=1e-6)
    # fixed grid turned: AFNI sees its voxel (1, 0, 0) at (12, 0, 0), which goes to (11, -2, 3)
    save_field(tmp_path / "w.nii", moving, (1, 2, 3), signed=True)
    ours = read_transform(tmp_path / "w.nii", moving=PLUMB)
    np.testing.assert_allclose(ours.map_points((moving.affine @ (1, 0, 0, 1))[:3]), (11, -2, 3), atol=1e-5)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_fields_are_kept_between_oblique_grids(tmp_path, fixed_axes, moving_axes):
    fixed, moving = made_pair(fixed_axes, moving_axes)
    chain, points = made_chain(fixed), inner_points(fixed)
    write_transform(chain, tmp_path / "w.nii.gz", "afni-warp", moving=moving)
    assert identify(tmp_path / "w.nii.gz", moving=moving).format == "afni-warp"
    back = read_transform(tmp_path / "w.nii.gz", moving=moving)
    np.testing.assert_allclose(back.map_points(points), chain.map_points(points), atol=1e-5)


def test_nitransforms_reads_the_same_field(tmp_path):
    field = made_displacement(PLUMB)
    write_transform(field, tmp_path / "w.nii", "afni-warp", moving=PLUMB)
    theirs = nitransforms.nonlinear.DenseFieldTransform.from_filename(tmp_path / "w.nii", fmt="afni")
    voxels = np.random.default_rng(0).integers(0, 6, (20, 3))
    points = voxels @ PLUMB.affine[:3, :3].T
    np.testing.assert_allclose(theirs.map(points), field.map_points(points), atol=1e-5)


def test_a_field_that_nobody_signed_must_be_named(tmp_path):
    save_field(tmp_path / "w.nii", PLUMB, (1, 2, 3), signed=False)
    with pytest.raises(InputError, match=r"one of itk-warp: .*; afni-warp: .*; spm-deformation: "):
        read_transform(tmp_path / "w.nii", moving=PLUMB)
    np.testing.assert_allclose(
        read_transform(tmp_path / "w.nii", "afni-warp", moving=PLUMB).map_points([-4, 4, 4]), (-5, 2, 7)
    )
    with pytest.raises(InputError, match=r"AFNI's fields count .* moving="):
        read_transform(tmp_path / "w.nii", "afni-warp")
