"""FLIRT matrices: hand-computed points, and what fslpy and nitransforms make of them."""

from __future__ import annotations

import nibabel
import nitransforms
import numpy as np
import pytest
from fsl.data.image import Image as FslImage
from fsl.transform.flirt import fromFlirt
from nibabel import imageglobals

from made_headers import HEADERS, write_header
from made_transforms import PAIRS, inner_points, made_affine, made_pair
from warpline.errors import InputError
from warpline.io.images import read_grid
from warpline.io.transform_files import read_transform, write_transform
from warpline.space.grid import Grid

SHIFTED = "1 0 0 5  \n0 1 0 0  \n0 0 1 0  \n0 0 0 1  \n"
"""As FLIRT prints a shift of 5 mm, from moving to fixed."""


def grid(sign):
    return Grid((10, 12, 14), np.diag([sign * 2.0, 2, 2, 1]))


@pytest.mark.parametrize(
    ("fixed_sign", "moving_sign", "expected"),
    [
        # left-handed: FSL's mm run with x. World (-8, 4, 6) is 8 mm on the fixed grid, 3 mm on the moving one
        (-1, -1, (-3, 4, 6)),
        # right-handed: FSL's x is 18 mm - x. World 8 is 10 mm, then 5 mm, which is world 13
        (1, 1, (13, 4, 6)),
        # world -8 is 8 mm on the left-handed fixed grid, then 3 mm, which is world 15 on the right-handed moving one
        (-1, 1, (15, 4, 6)),
        # world 8 is 10 mm on the right-handed fixed grid, then 5 mm, which is world -5 on the left-handed moving one
        (1, -1, (-5, 4, 6)),
    ],
)
def test_points_by_hand(tmp_path, fixed_sign, moving_sign, expected):
    (tmp_path / "a.mat").write_text(SHIFTED)
    ours = read_transform(tmp_path / "a.mat", "fsl-flirt", fixed=grid(fixed_sign), moving=grid(moving_sign))
    np.testing.assert_allclose(ours.map_points([fixed_sign * 8.0, 4, 6]), expected, atol=1e-12)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_fslpy_reads_the_same_map(tmp_path, fixed_axes, moving_axes):
    fixed, moving = made_pair(fixed_axes, moving_axes)
    write_transform(made_affine(), tmp_path / "a.mat", "fsl-flirt", fixed=fixed, moving=moving)
    ours = read_transform(tmp_path / "a.mat", "fsl-flirt", fixed=fixed, moving=moving)
    images = [FslImage(nibabel.Nifti1Image(np.zeros(one.shape, np.float32), one.affine)) for one in (moving, fixed)]
    pushed = fromFlirt(np.loadtxt(tmp_path / "a.mat"), *images, "world", "world")
    np.testing.assert_allclose(ours.matrix, made_affine().matrix, atol=1e-12)
    np.testing.assert_allclose(np.linalg.inv(pushed), ours.matrix, atol=1e-5)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_nitransforms_reads_the_same_map(tmp_path, fixed_axes, moving_axes):
    fixed, moving = made_pair(fixed_axes, moving_axes)
    write_transform(made_affine(), tmp_path / "a.fsl.mat", "fsl-flirt", fixed=fixed, moving=moving)
    paths = [tmp_path / "fixed.nii", tmp_path / "moving.nii"]
    for path, one in zip(paths, (fixed, moving), strict=True):
        nibabel.save(nibabel.Nifti1Image(np.zeros(one.shape, np.float32), one.affine), path)
    theirs = nitransforms.linear.load(tmp_path / "a.fsl.mat", fmt="fsl", reference=paths[0], moving=paths[1])
    points = inner_points(fixed)
    np.testing.assert_allclose(theirs.map(points), made_affine().map_points(points), atol=1e-4)


def test_a_bare_matrix_is_not_guessed(tmp_path):
    (tmp_path / "a.mat").write_text(SHIFTED)
    with pytest.raises(InputError, match=r"a\.mat does not say what it is; .* one of matrix: .*; fsl-flirt: "):
        read_transform(tmp_path / "a.mat")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"a\.mat: a FLIRT matrix counts .* the grids of both images: fixed= and moving="),
        ({"fixed": grid(1)}, "the grid of the moving image: moving="),
        ({"moving": grid(1)}, "the grid of the fixed image: fixed="),
    ],
)
def test_missing_images_are_asked_for(tmp_path, given, message):
    (tmp_path / "a.mat").write_text(SHIFTED)
    with pytest.raises(InputError, match=message):
        read_transform(tmp_path / "a.mat", "fsl-flirt", **given)
    with pytest.raises(InputError, match="a FLIRT matrix counts from the geometry of its images"):
        write_transform(made_affine(), tmp_path / "b.mat", "fsl-flirt", **given)
    assert not (tmp_path / "b.mat").exists()


@pytest.mark.parametrize("name", ["scaled 4, qform", "sheared, qform", "pixdim 1", "negative, sform", "micrometres"])
@pytest.mark.parametrize("moved", [False, True])
def test_flirt_counts_by_pixdim(tmp_path, name, moved):
    plain = write_header(tmp_path / "plain.nii", **HEADERS["both equal"])
    odd = write_header(tmp_path / "odd.nii", **HEADERS[name])
    fixed, moving = (plain, odd) if moved else (odd, plain)
    np.savetxt(tmp_path / "flirt.mat", made_affine().matrix)
    with imageglobals.LoggingOutputSuppressor():
        images = FslImage(str(moving)), FslImage(str(fixed))
    pushed = fromFlirt(np.loadtxt(tmp_path / "flirt.mat"), *images, "world", "world")
    to_mm = [np.diag((*(np.full(3, 1e-3 if "micro" in name and odd == path else 1)), 1)) for path in (moving, fixed)]
    pulled = to_mm[0] @ np.linalg.inv(pushed) @ np.linalg.inv(to_mm[1])
    between = {"fixed": read_grid(fixed), "moving": read_grid(moving)}
    ours = read_transform(tmp_path / "flirt.mat", "fsl-flirt", **between)
    np.testing.assert_allclose(ours.matrix, pulled, rtol=1e-4, atol=1e-4)
    write_transform(ours, tmp_path / "back.mat", "fsl-flirt", **between)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "back.mat"), np.loadtxt(tmp_path / "flirt.mat"), atol=1e-5)
