"""FNIRT's spline coefficients: hand-computed points, and what fslpy makes of them."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from fsl.data.image import Image as FslImage
from fsl.transform.fnirt import fromFnirt, readFnirt

from made_transforms import PAIRS, made_affine, made_pair
from warpline.errors import InputError
from warpline.io.transform_files import read_transform
from warpline.space.grid import Grid

KNOTS = (3.0, 4, 2)


def save_coefficients(path, fixed, values, start=None, intent=2007):
    """As FNIRT's file writer lays the header out."""
    image = nibabel.Nifti1Image(np.float32(values), None)
    header = image.header
    header["intent_code"] = intent
    header["intent_p1"], header["intent_p2"], header["intent_p3"] = fixed.voxel_size
    header.set_zooms((*KNOTS, 1))
    image.set_sform(np.eye(4) if start is None else start, 1)
    offsets = np.diag([*KNOTS, 1.0])
    offsets[:3, 3] = fixed.shape
    image.set_qform(offsets, 1)
    nibabel.save(image, path)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_fslpy_reads_the_same_map(tmp_path, fixed_axes, moving_axes):
    fixed, moving = made_pair(fixed_axes, moving_axes)
    count = [int(np.ceil(n / step)) + 3 for n, step in zip(fixed.shape, KNOTS, strict=True)]
    values = np.random.default_rng(1).normal(scale=4, size=(*count, 3))
    start = made_affine(4).matrix
    save_coefficients(tmp_path / "c.nii", fixed, values, start)
    images = [FslImage(nibabel.Nifti1Image(np.zeros(one.shape, np.float32), one.affine)) for one in (moving, fixed)]
    theirs = fromFnirt(readFnirt(str(tmp_path / "c.nii"), *images))
    ours = read_transform(tmp_path / "c.nii", fixed=fixed, moving=moving)
    voxels = np.random.default_rng(0).integers(0, 8, (30, 3))
    points = voxels @ fixed.affine[:3, :3].T + fixed.affine[:3, 3]
    np.testing.assert_allclose(ours.map_points(points), theirs.transform(points), atol=2e-5)
    assert np.abs(ours.map_points(points) - points).max() > 3


def test_points_by_hand(tmp_path):
    # one coefficient of 6 mm along FSL's x, whose knot lies at voxel (3, 4, 2): a weight of 2/3 along each axis there
    grid = Grid((12, 12, 12), np.diag([-1.0, 1, 1, 1]))
    values = np.zeros((7, 6, 9, 3))
    values[2, 2, 2, 0] = 6
    save_coefficients(tmp_path / "c.nii", grid, values)
    ours = read_transform(tmp_path / "c.nii", fixed=grid, moving=grid)
    np.testing.assert_allclose(ours.map_points([-3, 4, 2]), (-3 - 6 * (2 / 3) ** 3, 4, 2), atol=1e-5)
    # at the next knot along x the weight is 1/6
    np.testing.assert_allclose(ours.map_points([-6, 4, 2]), (-6 - 6 * (2 / 3) ** 2 / 6, 4, 2), atol=1e-5)


def test_what_cannot_be_read_is_refused(tmp_path):
    fixed, moving = made_pair("straight", "oblique")
    values = np.zeros((7, 6, 8, 3))
    save_coefficients(tmp_path / "c.nii", fixed, values)
    with pytest.raises(InputError, match=r"FNIRT's coefficients count .* fixed= and moving="):
        read_transform(tmp_path / "c.nii")
    with pytest.raises(InputError, match=r"c\.nii was made on a fixed image of .*; the one given has \(10, 12, 8\)"):
        read_transform(tmp_path / "c.nii", fixed=moving, moving=fixed)
    save_coefficients(tmp_path / "q.nii", fixed, values, intent=2009)
    with pytest.raises(InputError, match=r"q\.nii holds quadratic coefficients; expand them"):
        read_transform(tmp_path / "q.nii", fixed=fixed, moving=moving)
