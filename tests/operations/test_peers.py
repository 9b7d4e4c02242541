"""The same files through other packages: SimpleITK, nitransforms, DIPY."""

from __future__ import annotations

import nitransforms
import numpy as np
import pytest
import SimpleITK
from dipy.align import read_mapping, write_mapping
from dipy.align.imwarp import DiffeomorphicMap
from nitransforms.resampling import apply as nitransforms_apply

from made_transforms import PAIRS, inner_points, made_affine, made_displacement, made_pair
from synthetic import smooth_volume
from warpline.images import Image
from warpline.io.images import write_image
from warpline.io.transform_files import write_transform
from warpline.operations import apply, apply_points, jacobian
from warpline.space import Chain, Displacement
from warpline.space.grid import apply_affine

LPS = np.array([-1.0, -1.0, 1.0])


@pytest.fixture(params=PAIRS, ids="-".join)
def scene(request, tmp_path):
    """Images and transforms between two orientations, on disk and in memory."""
    fixed, moving = made_pair(*request.param)
    images = [Image(100 * smooth_volume(grid.shape, seed), grid) for seed, grid in enumerate((fixed, moving))]
    for image, name in zip(images, ("fixed", "moving"), strict=True):
        write_image(image, tmp_path / f"{name}.nii.gz")
    field = made_displacement(fixed)
    warp, affine = Displacement(field.field, fixed), made_affine()
    write_transform(warp, tmp_path / "warp.nii.gz")
    write_transform(affine, tmp_path / "affine.mat")
    write_transform(affine, tmp_path / "affine.tfm")
    return images, warp, affine, tmp_path


def itk_chain(folder):
    """The warp, then the affine: of a composite the last part comes first."""
    field = SimpleITK.ReadImage(str(folder / "warp.nii.gz"), SimpleITK.sitkVectorFloat64)
    chain = SimpleITK.CompositeTransform(3)
    chain.AddTransform(SimpleITK.ReadTransform(str(folder / "affine.mat")))
    chain.AddTransform(SimpleITK.DisplacementFieldTransform(field))
    return chain


@pytest.mark.parametrize(
    ("interpolation", "theirs"), [("linear", SimpleITK.sitkLinear), ("nearest", SimpleITK.sitkNearestNeighbor)]
)
def test_simpleitk_resamples_the_same_at_every_voxel(scene, interpolation, theirs):
    _, _, _, folder = scene
    fixed, moving = (SimpleITK.ReadImage(str(folder / f"{name}.nii.gz")) for name in ("fixed", "moving"))
    expected = SimpleITK.GetArrayFromImage(SimpleITK.Resample(moving, fixed, itk_chain(folder), theirs, -7.0)).T
    files = [folder / "warp.nii.gz", folder / "affine.mat"]
    mine = apply(
        folder / "moving.nii.gz",
        folder / "fixed.nii.gz",
        files,
        interpolation=interpolation,
        outside=-7,
        backend="numpy",
    ).data
    same = np.isclose(mine, expected, rtol=0, atol=2e-4)
    assert (expected != -7).mean() > 0.2
    assert same.mean() > (0.995 if interpolation == "nearest" else 0.9999)  # points within rounding of a border


def test_simpleitk_maps_points_the_same(scene):
    images, warp, affine, folder = scene
    points = inner_points(images[0].grid)
    expected = [itk_chain(folder).TransformPoint(tuple(point * LPS)) * LPS for point in points]
    np.testing.assert_allclose(apply_points(points, [warp, affine], to="moving"), expected, rtol=0, atol=1e-5)


def test_nitransforms_resamples_and_maps_the_same(scene):
    images, _, affine, folder = scene
    theirs = nitransforms.linear.Affine(affine.matrix, reference=str(folder / "fixed.nii.gz"))
    resampled = nitransforms_apply(theirs, str(folder / "moving.nii.gz"), order=1, cval=-7)
    mine = apply(folder / "moving.nii.gz", folder / "fixed.nii.gz", folder / "affine.tfm", outside=-7, backend="numpy")
    moving = images[1].grid
    looks = apply_affine(moving.inverse_affine, affine.map_points(world(images[0].grid)))
    inside = np.all((looks > 0) & (looks < np.array(moving.shape) - 1), axis=-1)  # its rim fades, ours is ITK's
    np.testing.assert_allclose(mine.data[inside], resampled.get_fdata()[inside], atol=2e-4)
    points = inner_points(images[0].grid)
    mapped = apply_points(points, affine, to="moving")
    np.testing.assert_allclose(mapped, theirs.map(points), rtol=0, atol=1e-5)  # theirs pass through float32


def test_nitransforms_reads_the_warp_the_same(scene):
    """At voxel centres, where its cubic and our linear field are the field itself."""
    images, warp, _, folder = scene
    field = nitransforms.io.itk.ITKDisplacementsField.from_filename(folder / "warp.nii.gz")
    theirs = nitransforms.nonlinear.DenseFieldTransform(field)
    points = world(images[0].grid)[2:-2, 2:-2, 2:-2].reshape(-1, 3)
    np.testing.assert_allclose(apply_points(points, warp, to="moving"), theirs.map(points), atol=1e-4)


def test_dipy_warps_the_same_from_its_own_file(scene):
    images, _, affine, folder = scene
    fixed, moving = images
    field = made_displacement(fixed.grid)
    mapping = DiffeomorphicMap(
        3,
        fixed.grid.shape,
        disp_grid2world=fixed.affine,
        domain_shape=moving.grid.shape,
        domain_grid2world=moving.affine,
        codomain_shape=fixed.grid.shape,
        codomain_grid2world=fixed.affine,
        prealign=np.linalg.inv(affine.matrix),
    )
    mapping.forward, mapping.backward = (
        np.ascontiguousarray(np.moveaxis(one, 0, -1)) for one in (field.inverse_field, field.field)
    )
    mapping.is_inverse = True
    write_mapping(mapping, str(folder / "mapping.nii.gz"))
    names = [str(folder / f"{name}.nii.gz") for name in ("mapping", "moving", "fixed")]
    theirs = read_mapping(*names, prealign=np.linalg.inv(affine.matrix)).transform(moving.data)
    chain = [folder / "mapping.nii.gz", folder / "affine.mat"]
    mine = apply(folder / "moving.nii.gz", folder / "fixed.nii.gz", chain, backend="numpy").data
    looks = Chain((field, affine)).map_points(world(fixed.grid))
    where = apply_affine(moving.grid.inverse_affine, looks)
    inside = np.all((where > 0) & (where < np.array(moving.grid.shape) - 1), axis=-1)
    assert inside.mean() > 0.1
    np.testing.assert_allclose(mine[inside], theirs[inside], atol=1e-3)


def test_simpleitk_knows_the_determinant_on_straight_grids(tmp_path):
    """It ignores directions, so only there; ours holds on all of them (tests/resampling/test_pullback.py)."""
    fixed, _ = made_pair("straight", "straight")
    warp = made_displacement(fixed, largest=2.0)
    write_transform(Displacement(warp.field, fixed), tmp_path / "warp.nii.gz")
    field = SimpleITK.ReadImage(str(tmp_path / "warp.nii.gz"), SimpleITK.sitkVectorFloat64)
    field.SetDirection(np.eye(3).ravel().tolist())
    flipped = SimpleITK.GetArrayFromImage(field) * (-1, -1, 1)  # LPS components along RAS axes
    turned = SimpleITK.GetImageFromArray(flipped, isVector=True)
    turned.CopyInformation(field)
    expected = SimpleITK.GetArrayFromImage(SimpleITK.DisplacementFieldJacobianDeterminant(turned)).T
    mine = jacobian(tmp_path / "warp.nii.gz", fixed, backend="numpy").data
    inner = (slice(1, -1),) * 3
    np.testing.assert_allclose(mine[inner], expected[inner], atol=1e-4)


def world(grid):
    """World positions of every voxel, (*shape, 3)."""
    return apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
