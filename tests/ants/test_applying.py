"""ANTsPy's functions on files that ANTsPy wrote: ours give what its own give.

Tolerances: ANTsPy's images and fields are float32, so values of about 30 agree to a few units of float32's last place.
Its points pass through single precision, where 50 mm have steps of 4e-6 mm and every transform adds some; SimpleITK's
stay in double precision and are compared at 1e-6 mm.
"""

from __future__ import annotations

import functools

import ants
import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from ants_peers import DIRECTIONS, in_ants, made_grid, smooth, write_affine, write_warp
from warpline import ants as ours
from warpline.errors import InputError, UsageError
from warpline.io.transform_files import read_transform
from warpline.space.grid import Grid, apply_affine

MOVING = made_grid(DIRECTIONS["flipped"], (15, 14, 12), (1.6, 1.8, 2.4))
VALUES = 2e-5
"""Absolute tolerance of values up to about 40."""


@pytest.fixture(scope="module", params=DIRECTIONS)
def scene(request, tmp_path_factory):
    """A fixed grid in one orientation, and a chain of three transforms from ANTsPy."""
    folder = tmp_path_factory.mktemp("ants")
    grid = made_grid(DIRECTIONS[request.param], (13, 11, 10), (2.0, 2.3, 2.6))
    chain = [write_warp(folder / "w.nii.gz", grid), write_affine(folder / "a.mat"), write_affine(folder / "b.mat", 1)]
    return grid, [chain[0], chain[1]], [*chain[:2], write_warp(folder / "v.nii.gz", MOVING, 5, 2.0), chain[2]]


def nifti(array, grid):
    return nibabel.Nifti1Image(array, grid.affine)


def both(grid, array, files, outside=-7, **how):
    """The array through the same files by ANTsPy and by us."""
    fixed = smooth(grid.shape, 1)
    theirs = ants.apply_transforms(
        in_ants(fixed, grid), in_ants(array, MOVING), files, defaultvalue=outside, **how
    ).numpy()
    mine = ours.apply_transforms(nifti(fixed, grid), nifti(array, MOVING), files, defaultvalue=outside, **how)
    return theirs, np.asarray(mine.dataobj)


def core(grid, files, margin=0):
    """Voxels that look at least `margin` voxels inside the moving image: beyond its outer centres rules differ."""
    world = apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    for file in files:
        world = read_transform(file).map_points(world)
    where = apply_affine(MOVING.inverse_affine, world)
    return np.all((where >= margin) & (where <= np.array(MOVING.shape) - 1 - margin), axis=-1)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("interpolator", ["linear", "nearestNeighbor", "genericLabel"])
def test_every_voxel_agrees(scene, count, interpolator):
    grid, short, long = scene
    labels = interpolator != "linear"
    array = np.float32(np.random.default_rng(3).integers(0, 6, MOVING.shape)) if labels else smooth(MOVING.shape, 2)
    theirs, mine = both(grid, array, short if count == 2 else long, interpolator=interpolator)
    assert (theirs != -7).mean() > 0.3
    if labels:
        assert (mine != theirs).mean() < 2e-3  # ties, and points within rounding of a border between two voxels
    else:
        np.testing.assert_allclose(mine, theirs, atol=VALUES)


@pytest.mark.parametrize(
    "interpolator",
    ["bSpline", "lanczosWindowedSinc", "hammingWindowedSinc", "cosineWindowedSinc", "welchWindowedSinc"],
)
def test_wide_kernels_agree_between_voxel_centres(scene, interpolator):
    grid, files, _ = scene
    theirs, mine = both(grid, smooth(MOVING.shape, 2), files, interpolator=interpolator)
    inside = core(grid, files)
    assert inside.mean() > 0.3
    np.testing.assert_allclose(mine[inside], theirs[inside], atol=VALUES)


def test_the_way_back_inverts_the_affine_by_default(scene, tmp_path):
    grid, (_, affine), _ = scene
    warp = write_warp(tmp_path / "inverse.nii.gz", MOVING, 8)
    theirs, mine = both(grid, smooth(MOVING.shape, 2), [affine, warp])
    np.testing.assert_allclose(mine, theirs, atol=VALUES)
    explicit = both(grid, smooth(MOVING.shape, 2), [affine, warp], whichtoinvert=[True, False])[1]
    np.testing.assert_array_equal(explicit, mine)
    theirs, mine = both(grid, smooth(MOVING.shape, 2), [affine, warp], whichtoinvert=[False, False])
    np.testing.assert_allclose(mine, theirs, atol=VALUES)


def test_points_agree(scene):
    pandas = pytest.importorskip("pandas")
    grid, short, long = scene
    share = np.random.default_rng(0).uniform(0.1, 0.9, (40, 3))
    world = apply_affine(grid.affine, share * (np.array(grid.shape) - 1)) * (-1, -1, 1)
    table = pandas.DataFrame({"name": [f"p{n}" for n in range(40)], **dict(zip("xyz", world.T, strict=True))})
    for files, back in ((short, None), (long, None), (short[1:], [True]), (long, (False, True, False, True))):
        theirs = ants.apply_transforms_to_points(3, table, files, whichtoinvert=back)
        mine = ours.apply_transforms_to_points(3, table, files, whichtoinvert=back)
        np.testing.assert_allclose(mine[list("xyz")], theirs[list("xyz")], rtol=0, atol=3e-5)
        assert list(mine["name"]) == list(table["name"]) and list(mine.columns) == list(table.columns)
        array = ours.apply_transforms_to_points(3, world, files, whichtoinvert=back)
        np.testing.assert_array_equal(array, mine[list("xyz")])


def test_points_agree_with_simpleitk(scene):
    grid, _, files = scene
    share = np.random.default_rng(0).uniform(0.1, 0.9, (40, 3))
    world = apply_affine(grid.affine, share * (np.array(grid.shape) - 1)) * (-1, -1, 1)
    expected = [tuple(map(float, point)) for point in world]
    for file in files:
        expected = [itk_transform(file).TransformPoint(point) for point in expected]
    np.testing.assert_allclose(ours.apply_transforms_to_points(3, world, files), expected, rtol=0, atol=1e-6)


@functools.cache
def itk_transform(file):
    if file.endswith(".mat"):
        return SimpleITK.ReadTransform(file)
    return SimpleITK.DisplacementFieldTransform(SimpleITK.ReadImage(file, SimpleITK.sitkVectorFloat64))


def test_points_arrive_where_the_image_was_sampled(scene):
    """The convention in one line: forward transforms carry points of the fixed image to the moving one."""
    grid, files, _ = scene
    voxel = (6, 5, 5)
    value = np.asarray(
        ours.apply_transforms(nifti(smooth(grid.shape, 1), grid), nifti(smooth(MOVING.shape, 2), MOVING), files).dataobj
    )[voxel]
    point = apply_affine(grid.affine, voxel) * (-1, -1, 1)
    there = ours.apply_transforms_to_points(3, point[None], files)[0] * (-1, -1, 1)
    where = apply_affine(MOVING.inverse_affine, there)
    assert value == pytest.approx(map_coordinates(smooth(MOVING.shape, 2), where[:, None], order=1)[0], abs=1e-4)


def test_jacobian_agrees(scene):
    """ANTs takes four points along an axis and we two, which differ by the third derivative of a smooth field."""
    grid, (warp, _), _ = scene
    image = smooth(grid.shape, 1)
    for do_log in (False, True):
        theirs = ants.create_jacobian_determinant_image(in_ants(image, grid), warp, do_log).numpy()
        mine = np.asarray(ours.create_jacobian_determinant_image(nifti(image, grid), warp, do_log).dataobj)
        inner = (slice(2, -2),) * 3
        assert np.corrcoef(mine[inner].ravel(), theirs[inner].ravel())[0, 1] > 0.99
        assert np.abs(mine - theirs)[inner].max() < 0.15


def test_jacobian_of_a_linear_field_is_exact(tmp_path):
    """Differences of two and of four points are the same there: ours equal ANTs' and the truth, oblique and flipped."""
    grid = made_grid(DIRECTIONS["oblique, flipped, permuted"], (9, 10, 8), (2.0, 1.5, 3.0))
    linear = np.array([[0.1, 0.2, -0.1], [0.05, -0.1, 0.15], [-0.2, 0.1, 0.05]])
    world = apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1)) * (-1, -1, 1)
    ants.image_write(in_ants(world @ linear.T, grid, True), str(tmp_path / "w.nii.gz"))
    image = smooth(grid.shape, 1)
    truth = np.linalg.det(np.eye(3) + linear)
    mine = np.asarray(ours.create_jacobian_determinant_image(nifti(image, grid), str(tmp_path / "w.nii.gz")).dataobj)
    np.testing.assert_allclose(mine, truth, rtol=1e-5)
    theirs = ants.create_jacobian_determinant_image(in_ants(image, grid), str(tmp_path / "w.nii.gz")).numpy()
    np.testing.assert_allclose(theirs[2:-2, 2:-2, 2:-2], truth, rtol=1e-4)


def test_slices_with_transforms_of_antspy_in_two_dimensions(tmp_path):
    turn = Rotation.from_euler("z", 17, degrees=True).as_matrix()[:2, :2]
    paths = [str(tmp_path / f"{name}.nii.gz") for name in ("fixed", "moving")]
    for seed, path in enumerate(paths):
        slice_ = smooth((34, 30), seed, 2)
        ants.image_write(ants.from_numpy(slice_, origin=(-5.0, 7), spacing=(2.0, 2.5), direction=turn), path)
    images = [ants.image_read(path) for path in paths]
    short = {"reg_iterations": (4,), "aff_iterations": (9, 9, 9, 9), "random_seed": 1}
    found = ants.registration(*images, "SyN", outprefix=f"{tmp_path}/", **short)
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"x": [1.0, 20.0], "y": [30.0, 12.0]})
    for key, pair, files in (("fwdtransforms", images, paths), ("invtransforms", images[::-1], paths[::-1])):
        theirs = ants.apply_transforms(*pair, found[key]).numpy()
        mine = np.asarray(ours.apply_transforms(*files, found[key]).dataobj)
        np.testing.assert_allclose(mine, theirs, atol=VALUES)
        theirs = ants.apply_transforms_to_points(2, table, found[key])
        np.testing.assert_allclose(ours.apply_transforms_to_points(2, table, found[key]), theirs, rtol=0, atol=3e-5)


def test_real_brains_agree_at_every_voxel(data_folder, tmp_path):
    """A subject stored right to left in thick slices, on the grid of the MNI template."""
    moving, fixed = sorted(str(path) for path in (data_folder / "seed").glob("*.nii*"))[:2]
    like = nibabel.load(fixed)
    warp = write_warp(tmp_path / "w.nii.gz", Grid(like.shape, like.affine), largest=15.0)
    files = [warp, write_affine(tmp_path / "a.mat")]
    images = [ants.image_read(path) for path in (fixed, moving)]
    theirs = ants.apply_transforms(*images, files).numpy()
    mine = np.asarray(ours.apply_transforms(fixed, moving, files).dataobj)
    assert (theirs != 0).mean() > 0.1
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=2e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("name", ["whole", "whole.h5"])
def test_compose_writes_what_ants_applies(scene, tmp_path, name):
    grid, files, _ = scene
    fixed, moving = smooth(grid.shape, 1), smooth(MOVING.shape, 2)
    path = ours.apply_transforms(nifti(fixed, grid), nifti(moving, MOVING), files, compose=str(tmp_path / name))
    theirs = ants.apply_transforms(in_ants(fixed, grid), in_ants(moving, MOVING), [path]).numpy()
    expected = ants.apply_transforms(in_ants(fixed, grid), in_ants(moving, MOVING), files).numpy()
    np.testing.assert_allclose(theirs, expected, atol=5e-5)


def test_series_and_types(scene):
    grid, files, _ = scene
    fixed = nifti(smooth(grid.shape, 1), grid)
    series = np.stack([smooth(MOVING.shape, seed) for seed in (1, 2)], axis=-1)
    warped = ours.apply_transforms(fixed, nifti(series, MOVING), files, imagetype=3)
    assert warped.shape == (*grid.shape, 2) and warped.get_data_dtype() == np.float32
    labels = nifti(np.ones(MOVING.shape, np.int16), MOVING)
    kept = ours.apply_transforms(fixed, labels, files, interpolator="genericLabel")
    assert kept.get_data_dtype() == np.int16


def test_what_is_not_offered_is_said(scene):
    grid, files, _ = scene
    fixed, moving = nifti(smooth(grid.shape, 1), grid), nifti(smooth(MOVING.shape, 2), MOVING)
    with pytest.raises(UsageError, match="interpolator is 'gaussian'; choose from linear"):
        ours.apply_transforms(fixed, moving, files, interpolator="gaussian")
    with pytest.raises(UsageError, match="imagetype is 2"):
        ours.apply_transforms(fixed, moving, files, imagetype=2)
    with pytest.raises(UsageError, match="whichtoinvert has 1 entries for 2 transforms"):
        ours.apply_transforms(fixed, moving, files, whichtoinvert=[True])
    with pytest.raises(InputError, match="absent"):
        ours.apply_transforms(fixed, moving, ["absent.mat"])
    with pytest.raises(UsageError, match="dim is 4"):
        ours.apply_transforms_to_points(4, np.zeros((2, 4)), files)
    with pytest.raises(InputError, match="points have shape"):
        ours.apply_transforms_to_points(3, np.zeros((2, 2)), files)
    with pytest.raises(UsageError, match="geom"):
        ours.create_jacobian_determinant_image(fixed, files, geom=True)
