"""FSL's warp fields: hand-computed points, relative and absolute, and what fslpy makes of them."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from fsl.data.image import Image as FslImage
from fsl.transform.fnirt import fromFnirt, readFnirt

from made_headers import HEADERS, SIZES, write_header
from made_transforms import PAIRS, made_affine, made_chain, made_pair
from warpline.errors import InputError
from warpline.io.images import read_grid
from warpline.io.transform_files import identify, read_transform, write_transform
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

KINDS = ("fsl-fnirt-relative", "fsl-fnirt-absolute")


def straight(sign, shape=(6, 7, 8)):
    return Grid(shape, np.diag([sign * 2.0, 2, 2, 1]))


def save_field(path, values, grid, intent=2006, codes=(1, 1)):
    image = nibabel.Nifti1Image(np.float32(values), grid.affine)
    image.set_sform(grid.affine, codes[0])
    image.set_qform(grid.affine, codes[1])
    image.header["intent_code"] = intent
    nibabel.save(image, path)


def fsl_places(grid):
    voxels = np.moveaxis(np.indices(grid.shape), 0, -1)
    if np.linalg.det(grid.affine) > 0:
        voxels = voxels * (-1, 1, 1) + (grid.shape[0] - 1, 0, 0)
    return voxels * grid.voxel_size


@pytest.mark.parametrize(
    ("fixed_sign", "moving_sign", "expected"),
    # voxel (1, 1, 1) is FSL (2, 2, 2) on a left-handed grid, (8, 2, 2) on a right-handed one; x moves by 3, y by 1
    [(-1, -1, (-5, 3, 2)), (1, 1, (10 - 11, 3, 2)), (-1, 1, (10 - 5, 3, 2)), (1, -1, (-11, 3, 2))],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_points_by_hand(tmp_path, fixed_sign, moving_sign, expected, absolute):
    grid = straight(fixed_sign)
    values = np.broadcast_to(np.array((3.0, 1, 0)), (*grid.shape, 3)) + (fsl_places(grid) if absolute else 0)
    save_field(tmp_path / "w.nii", values, grid)
    for name in (None, KINDS[absolute]):
        ours = read_transform(tmp_path / "w.nii", name, moving=straight(moving_sign))
        np.testing.assert_allclose(ours.map_points([fixed_sign * 2.0, 2, 2]), expected, atol=1e-5)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
@pytest.mark.parametrize("kind", KINDS)
def test_fslpy_reads_the_same_map(tmp_path, fixed_axes, moving_axes, kind):
    fixed, moving = made_pair(fixed_axes, moving_axes)
    chain = made_chain(fixed)
    write_transform(chain, tmp_path / "w.nii.gz", kind, moving=moving)
    images = [FslImage(nibabel.Nifti1Image(np.zeros(one.shape, np.float32), one.affine)) for one in (moving, fixed)]
    theirs = fromFnirt(readFnirt(str(tmp_path / "w.nii.gz"), *images, defType=kind.rpartition("-")[2]))
    voxels = np.random.default_rng(0).integers(0, 8, (30, 3))
    points = voxels @ fixed.affine[:3, :3].T + fixed.affine[:3, 3]
    np.testing.assert_allclose(theirs.transform(points), chain.map_points(points), atol=2e-5)
    for name in (None, kind):
        back = read_transform(tmp_path / "w.nii.gz", name, moving=moving)
        np.testing.assert_allclose(back.map_points(points), chain.map_points(points), atol=2e-5)


def test_an_affine_is_put_on_the_fixed_grid(tmp_path):
    fixed, moving = made_pair("oblique", "sagittal")
    write_transform(made_affine(), tmp_path / "w.nii", "fsl-fnirt", fixed=fixed, moving=moving)
    back = read_transform(tmp_path / "w.nii", moving=moving)
    assert isinstance(back, Chain) and [type(part) for part in back.parts] == [Displacement, Affine]
    np.testing.assert_allclose(back.map_points(fixed.centre), made_affine().map_points(fixed.centre), atol=1e-5)


def test_a_series_of_three_volumes_is_no_field_unless_named(tmp_path):
    grid = straight(-1)
    save_field(tmp_path / "w.nii", np.ones((*grid.shape, 3)), grid, intent=0)
    with pytest.raises(InputError, match=r"name its format .* one of fsl-fnirt: .*; fsl-fnirt-relative: .*-absolute: "):
        read_transform(tmp_path / "w.nii", moving=grid)
    assert identify(tmp_path / "w.nii", "fsl-fnirt", moving=grid).kind == "displacement"


def test_values_that_could_be_either_must_be_named(tmp_path):
    grid = straight(-1)
    save_field(tmp_path / "w.nii", 0.5 * fsl_places(grid), grid)
    with pytest.raises(InputError, match="neither is likely; name its format: fsl-fnirt-relative or fsl-fnirt-abs"):
        read_transform(tmp_path / "w.nii", moving=grid)
    np.testing.assert_allclose(
        read_transform(tmp_path / "w.nii", "fsl-fnirt-absolute", moving=grid).map_points([-4, 4, 4]), (-2, 2, 2)
    )


def test_the_moving_image_and_a_missing_affine_are_asked_for(tmp_path):
    fixed, moving = made_pair("oblique", "sagittal")
    write_transform(made_chain(fixed), tmp_path / "w.nii", "fsl-fnirt", moving=moving)
    with pytest.raises(InputError, match=r"FSL's fields count .* moving="):
        read_transform(tmp_path / "w.nii")
    image = nibabel.load(tmp_path / "w.nii")
    save_field(tmp_path / "bare.nii", image.get_fdata(), fixed, codes=(0, 0))
    with pytest.raises(InputError, match=r"bare\.nii has neither sform nor qform; .* fixed="):
        read_transform(tmp_path / "bare.nii", moving=moving)
    back = read_transform(tmp_path / "bare.nii", fixed=fixed, moving=moving)
    expected = made_chain(fixed).map_points(fixed.centre)
    np.testing.assert_allclose(back.map_points(fixed.centre), expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["scaled 4, qform", "sheared, qform", "pixdim 1"])
def test_fields_count_by_pixdim(tmp_path, kind, name):
    paths = [write_header(tmp_path / f"{role}.nii", **HEADERS[name]) for role in ("fixed", "moving")]
    fixed, moving = map(read_grid, paths)
    assert fixed.header.pixdim == HEADERS[name].get("pixdim", SIZES)
    chain = made_chain(fixed.bare)
    write_transform(chain, tmp_path / "w.nii.gz", kind, fixed=fixed, moving=moving)
    images = [FslImage(str(path)) for path in (paths[1], paths[0])]
    theirs = fromFnirt(readFnirt(str(tmp_path / "w.nii.gz"), *images, defType=kind.rpartition("-")[2]))
    voxels = np.random.default_rng(0).integers(0, 6, (30, 3))
    points = voxels @ fixed.affine[:3, :3].T + fixed.affine[:3, 3]
    np.testing.assert_allclose(theirs.transform(points), chain.map_points(points), atol=2e-5)
    back = read_transform(tmp_path / "w.nii.gz", kind, moving=moving)
    np.testing.assert_allclose(back.map_points(points), chain.map_points(points), atol=2e-5)
    stored = nibabel.load(tmp_path / "w.nii.gz").header
    np.testing.assert_allclose(stored["pixdim"][1:4], fixed.header.pixdim, rtol=1e-6)
