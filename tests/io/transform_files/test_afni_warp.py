"""AFNI's displacement fields: hand-computed points, obliquity, and what nitransforms makes of them."""

from __future__ import annotations

import nibabel
import nitransforms
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension

from made_transforms import PAIRS, PLUMB, inner_points, made_chain, made_displacement, made_pair, turned_grid
from warpline.errors import InputError
from warpline.io.transform_files import identify, read_transform, write_transform
from warpline.space.grid import Grid


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
    moving = turned_grid(30)
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
