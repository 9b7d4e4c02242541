"""Transforms of 2-D images: written in 2-D by everything that writes, applied by ANTs and SimpleITK as by us."""

from __future__ import annotations

import ants
import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter

import warpline.ants
from warpline import operations, registration
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.io.transform_files import identify, read_transform, write_transform
from warpline.resampling import INTERPOLATIONS, resample
from warpline.space import Affine, Chain

TURN = np.array([[0.96, 0.28], [-0.28, 0.96]])


def made_image(seed, size, height, moved=0.0):
    affine = np.eye(4)
    affine[:2, :2] = TURN @ np.diag([-size, size * 1.2])
    affine[:, 3] = 30 + moved, -25, height, 1
    affine[2, 2] = 3
    rng = np.random.default_rng(seed)
    outline = gaussian_filter((np.hypot(*(np.indices((44, 40)) - 20)) < 12).astype(np.float32), 2)
    return Image.from_array((100 * outline + gaussian_filter(rng.normal(size=(44, 40)), 2)).astype(np.float32), affine)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two 2-D images 40 mm apart along the axis that they do not have, and what a registration of them wrote."""
    folder = tmp_path_factory.mktemp("flat")
    write_image(made_image(0, 2.0, 0.0), folder / "f.nii.gz")
    write_image(made_image(0, 2.1, 40.0, 3.0), folder / "m.nii.gz")
    found = registration.register(folder / "f.nii.gz", folder / "m.nii.gz", "syn-fast", threads=1)
    found.save(folder / "r_")
    return folder, found


def by_ants(folder, *transforms):
    fixed, moving = (ants.image_read(str(folder / name)) for name in ("f.nii.gz", "m.nii.gz"))
    assert fixed.dimension == 2
    return ants.apply_transforms(fixed, moving, [str(path) for path in transforms]).numpy()


def test_a_registration_of_2_d_images_writes_what_ants_applies(done):
    folder, found = done
    assert identify(folder / "r_0GenericAffine.mat").format == "itk-affine-2d"
    assert identify(folder / "r_1InverseWarp.nii.gz").format == "itk-warp-2d"
    ours = read_image(folder / "r_Warped.nii.gz")
    assert ours.grid.flat and ants.image_read(str(folder / "r_Warped.nii.gz")).shape == ours.data.shape[:2]
    theirs = by_ants(folder, folder / "r_1Warp.nii.gz", folder / "r_0GenericAffine.mat")
    np.testing.assert_allclose(ours.data[:, :, 0], theirs, atol=1e-3)
    assert found.report["similarity"]["after"]["ncc"] > 0.99 > found.report["similarity"]["before"]["ncc"]
    files = [folder / "r_1Warp.nii.gz", folder / "r_0GenericAffine.mat"]
    again = operations.apply(folder / "m.nii.gz", folder / "f.nii.gz", files, threads=1)
    np.testing.assert_allclose(again.data, ours.data, atol=1e-3)


def test_the_third_coordinate_of_a_2_d_image_is_ignored(done, numpy_backend):
    folder, found = done
    moving, grid = read_image(folder / "m.nii.gz"), found.alignment.fixed.grid
    assert moving.affine[2, 3] == 40 and grid.affine[2, 3] == 0
    for name, carry in INTERPOLATIONS.items():
        carried = carry(moving, found.transform, grid, outside=-9.0, backend=numpy_backend)
        assert (carried.data != -9).any(), name
    seen = resample(moving, like=grid, backend=numpy_backend)
    assert seen.grid.flat and seen.data.any()


@pytest.mark.parametrize("name", ["whole.h5", "whole.nii.gz"])
def test_composed_files_are_2_d_and_ants_applies_them(done, tmp_path, name):
    folder, found = done
    whole = operations.compose([folder / "r_1Warp.nii.gz", folder / "r_0GenericAffine.mat"])
    assert whole.flat
    write_transform(whole, tmp_path / name)
    assert identify(tmp_path / name).format.endswith("-2d")
    np.testing.assert_allclose(by_ants(folder, tmp_path / name), found.warped.data[:, :, 0], atol=1e-2)
    points = np.random.default_rng(0).uniform(-20, 20, (9, 2))
    if name.endswith(".h5"):
        theirs = SimpleITK.ReadTransform(str(tmp_path / name))
        expected = np.array([theirs.TransformPoint(point) for point in (-points).tolist()])
        moved = whole.map_points(np.column_stack([points, np.full(9, 77.0)]))
        np.testing.assert_allclose(moved, np.column_stack([-expected, np.full(9, 77.0)]), atol=1e-5)


@pytest.mark.parametrize("name", ["a.tfm", "a.txt", "a.h5", "a.mat"])
def test_an_affine_of_2_d_images_stays_one_in_every_format(done, tmp_path, name):
    folder, found = done
    operations.convert(folder / "r_0GenericAffine.mat", tmp_path / name)
    theirs = SimpleITK.ReadTransform(str(tmp_path / name))
    back = Chain.of(read_transform(tmp_path / name)).simplified()
    assert theirs.GetDimension() == 2 and back.flat and (~back).flat and (back @ back).flat
    expected = -np.array(theirs.TransformPoint((-11.0, 7.0)))
    np.testing.assert_allclose(found.alignment.affine.map_points([11, -7, 5.5]), (*expected, 5.5), atol=1e-5)


def test_images_that_are_2_d_make_a_transform_2_d(done, tmp_path):
    folder, _ = done
    grids = [read_image(folder / name).grid for name in ("f.nii.gz", "m.nii.gz")]
    write_transform(Affine(np.diag([1.1, 0.9, 1, 1])), tmp_path / "a.mat", fixed=grids[0], moving=grids[1])
    assert identify(tmp_path / "a.mat").format == "itk-affine-2d"
    write_transform(Affine(np.diag([1.1, 0.9, 2, 1])), tmp_path / "b.mat", fixed=grids[0], moving=grids[1])
    assert identify(tmp_path / "b.mat").format == "itk-affine"
    with pytest.raises(UsageError, match="does not fit a 2-D file"):
        write_transform(Affine(np.diag([1.1, 0.9, 2, 1])), tmp_path / "c.h5", "itk-composite-2d")


def test_one_slice_of_a_volume_is_no_2_d_image(done, tmp_path):
    folder, _ = done
    for name in ("f.nii.gz", "m.nii.gz"):
        flat = read_image(folder / name)
        write_image(Image.from_array(flat.data, np.diag([2.0, 2, 3, 1])), tmp_path / name)
    registration.register(tmp_path / "f.nii.gz", tmp_path / "m.nii.gz", "rigid", threads=1).save(tmp_path / "r_")
    assert identify(tmp_path / "r_0GenericAffine.mat").format == "itk-affine"
    ours = read_image(tmp_path / "r_Warped.nii.gz")
    assert not ours.grid.flat
    np.testing.assert_allclose(by_volumes(tmp_path), ours.data, atol=1e-2)


def by_volumes(folder):
    fixed, moving = (ants.image_read(str(folder / name)) for name in ("f.nii.gz", "m.nii.gz"))
    return ants.apply_transforms(fixed, moving, [str(folder / "r_0GenericAffine.mat")]).numpy()


def test_a_2_d_image_in_another_plane_is_said_to_be_a_slice(tmp_path, caplog):
    upright = np.array([[2.0, 0, 0, 0], [0, 0, 2, 0], [0, 2, 0, 0], [0, 0, 0, 1]])
    image = Image.from_array(np.ones((4, 5), np.float32), upright)
    assert not image.grid.flat
    import nibabel

    nibabel.save(nibabel.Nifti1Image(image.data[:, :, 0], upright), tmp_path / "coronal.nii")
    assert not read_image(tmp_path / "coronal.nii").grid.flat
    assert "does not lie in the plane of world x and y" in caplog.text


def test_the_facade_of_antspy_is_2_d_too(done, tmp_path):
    folder, _ = done
    fixed, moving = (str(folder / name) for name in ("f.nii.gz", "m.nii.gz"))
    found = warpline.ants.registration(
        fixed, moving, "Rigid", outprefix=str(tmp_path / "a_"), write_composite_transform=True
    )
    assert found["warpedmovout"].shape == (44, 40)
    theirs = by_ants(folder, found["fwdtransforms"])
    np.testing.assert_allclose(np.asarray(found["warpedmovout"].dataobj), theirs, atol=1e-2)
    whole = warpline.ants.apply_transforms(fixed, moving, found["fwdtransforms"], compose=str(tmp_path / "c_"))
    np.testing.assert_allclose(by_ants(folder, whole), theirs, atol=1e-2)
