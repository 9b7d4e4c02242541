"""Displacement fields in ITK's files; ANTs must warp images through them exactly as we do."""

from __future__ import annotations

import gzip
from itertools import product

import ants
import nibabel
import numpy as np
import pandas
import pytest
import SimpleITK
from picsl_greedy import Greedy3D
from scipy.spatial.transform import Rotation

from synthetic import smooth_field, smooth_volume
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.io.transform_files import identify, read_transform, write_transform
from warpline.resampling import warp
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

SHAPE = (17, 15, 13)
TURNS = {"axes": (0, 0, 0), "oblique": (15, -25, 40)}
FLIPS = {"right-handed": (1, 1, 1), "left-handed": (-1, 1, 1), "upside-down": (1, 1, -1)}


def grid(turn="axes", flip="right-handed", shape=SHAPE, size=(2.0, 2.5, 4.0), middle=(4.0, -30.0, 12.0)):
    affine = np.eye(4)
    rotation = Rotation.from_euler("xyz", TURNS[turn], degrees=True).as_matrix()
    affine[:3, :3] = rotation @ np.diag(FLIPS[flip]) @ np.diag(size)
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine.astype(np.float32))  # what a file can hold, so that both sides see one grid


def displacement(on, seed=0, largest=5.0):
    field = smooth_field(on.shape, seed, largest)
    inverse = smooth_field(on.shape, seed + 9, largest)
    return Displacement(field, on, inverse)


def motion():
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (4, -6, 8), degrees=True).as_matrix() * 1.04
    matrix[0, 1] += 0.05
    matrix[:3, 3] = (3.0, -4.0, 2.5)
    return Affine(matrix)


def assert_same_picture(ours, theirs):
    gap = np.abs(ours.data - theirs).max()
    assert gap <= 1e-4 * np.ptp(ours.data), gap
    assert np.ptp(ours.data) > 0.3


@pytest.mark.parametrize(("turn", "flip", "moving_turn"), list(product(TURNS, FLIPS, TURNS)))
def test_ants_warps_images_as_we_do(tmp_path, numpy_backend, turn, flip, moving_turn):
    fixed = Image(smooth_volume(SHAPE, 1), grid(turn, flip))
    moving = Image(smooth_volume((16, 18, 14), 2), grid(moving_turn, "left-handed", (16, 18, 14), (2.2, 2.2, 3.5)))
    field, affine = displacement(fixed.grid), motion()
    paths = {name: str(tmp_path / name) for name in ("f.nii.gz", "m.nii.gz", "w.nii.gz", "i.nii.gz", "a.mat")}
    write_image(fixed, paths["f.nii.gz"])
    write_image(moving, paths["m.nii.gz"])
    write_transform(field, paths["w.nii.gz"])
    write_transform(field.inverse(), paths["i.nii.gz"])
    write_transform(affine, paths["a.mat"])
    there, back = ants.image_read(paths["f.nii.gz"]), ants.image_read(paths["m.nii.gz"])
    forward = ants.apply_transforms(there, back, [paths["w.nii.gz"], paths["a.mat"]])
    chain = Chain((field, affine))
    assert_same_picture(warp(moving, chain, fixed.grid, backend=numpy_backend), forward.numpy())
    inverse = ants.apply_transforms(back, there, [paths["a.mat"], paths["i.nii.gz"]], whichtoinvert=[True, False])
    assert_same_picture(warp(fixed, chain.inverse(), moving.grid, backend=numpy_backend), inverse.numpy())


@pytest.mark.parametrize(("intent", "expected"), [(1007, (-3, 0, 9)), (1006, (-1, 4, 9))])
def test_points_by_hand(tmp_path, intent, expected):
    # 2 mm voxels, x to the left: voxel (1, 1, 2) is world (-2, 2, 4), and holds (1, 2, 5)
    values = np.zeros((3, 4, 5, 1, 3), np.float32)
    values[1, 1, 2] = (1, 2, 5)
    image = nibabel.Nifti1Image(values, np.diag([-2.0, 2, 2, 1]))
    image.header["intent_code"] = intent
    nibabel.save(image, tmp_path / "w.nii")
    np.testing.assert_allclose(read_transform(tmp_path / "w.nii").map_points([-2, 2, 4]), expected, atol=1e-6)
    # half-way to the next voxel, which holds nothing, half of it is left
    half = np.add((-1, 2, 4), np.subtract(expected, (-2, 2, 4)) / 2)
    np.testing.assert_allclose(read_transform(tmp_path / "w.nii").map_points([-1, 2, 4]), half, atol=1e-6)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_round_trip_keeps_every_bit(tmp_path, suffix):
    field = displacement(grid("oblique", "left-handed"))
    write_transform(field, tmp_path / f"w{suffix}")
    back = read_transform(tmp_path / f"w{suffix}")
    assert isinstance(back, Displacement) and back.inverse_field is None
    np.testing.assert_array_equal(back.field, field.field)
    np.testing.assert_array_equal(back.grid.affine, field.grid.affine)


def test_itk_maps_points_as_we_do(tmp_path):
    field = displacement(grid("oblique", "left-handed"))
    write_transform(field, tmp_path / "w.nii.gz")
    image = SimpleITK.ReadImage(str(tmp_path / "w.nii.gz"), SimpleITK.sitkVectorFloat64)
    assert image.GetSize() == SHAPE and image.GetNumberOfComponentsPerPixel() == 3
    theirs = SimpleITK.DisplacementFieldTransform(image)
    points = np.random.default_rng(0).normal((4, -30, 12), 6, (30, 3))
    lps = np.array((-1.0, -1.0, 1.0))
    mapped = np.array([theirs.TransformPoint(point) for point in (points * lps).tolist()]) * lps
    np.testing.assert_allclose(field.map_points(points), mapped, atol=1e-4)
    assert np.abs(mapped - points).max() > 0.5


def test_header_says_what_ants_says(tmp_path):
    write_transform(displacement(grid()), tmp_path / "w.nii.gz")
    header = nibabel.load(tmp_path / "w.nii.gz").header
    assert header.get_data_shape() == (*SHAPE, 1, 3)
    assert header.get_data_dtype() == np.float32
    assert header.get_intent()[0] == "vector" and int(header["intent_code"]) == 1007
    assert header.get_xyzt_units()[0] == "mm"


def test_one_slice_keeps_its_field(tmp_path):
    flat = grid(shape=(17, 15, 1))
    write_transform(displacement(flat), tmp_path / "w.nii.gz")
    np.testing.assert_array_equal(read_transform(tmp_path / "w.nii.gz").field, displacement(flat).field)


def save_field(path, intent, data=None, **fields):
    data = np.moveaxis(displacement(grid()).field, 0, -1)[:, :, :, None] if data is None else data
    image = nibabel.Nifti1Image(data, grid().affine)
    image.header["intent_code"] = intent
    nibabel.save(image, path)


def test_intent_1006_is_read_as_itk_reads_it(tmp_path):
    save_field(tmp_path / "w.nii", 1006)
    ours = read_transform(tmp_path / "w.nii").field
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "w.nii")))  # (K, J, I, 3), LPS
    np.testing.assert_array_equal(ours * np.array((-1, -1, 1))[:, None, None, None], theirs.transpose(3, 2, 1, 0))


def test_fields_that_cannot_be_meant_are_refused(tmp_path):
    path = tmp_path / "w.nii"
    save_field(path, 0)
    with pytest.raises(InputError, match=r"w\.nii has NIfTI intent 0; a displacement field needs 1007"):
        read_transform(path, "itk-warp")
    with pytest.raises(InputError, match=r"name its format .* itk-warp: displacement field in NIfTI with intent 1007"):
        read_transform(path)
    save_field(path, 1007, np.zeros((4, 4, 4, 1, 3), np.int16))
    with pytest.raises(InputError, match="an unscaled field of floats is needed"):
        read_transform(path)
    save_field(path, 1007, np.full((4, 4, 4, 1, 3), np.nan, np.float32))
    with pytest.raises(InputError, match="NaN or infinite displacements"):
        read_transform(path)
    save_field(path, 1007, np.zeros((4, 4, 4, 3), np.float32))
    with pytest.raises(InputError, match="no transform file of a known format"):
        read_transform(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_huge_header_and_truncation_are_refused(tmp_path, compressed):
    path = tmp_path / ("w.nii.gz" if compressed else "w.nii")
    save_field(tmp_path / "good.nii", 1007)
    raw = bytearray((tmp_path / "good.nii").read_bytes())
    raw[42:48] = b"\xff\x7f" * 3  # 32767 voxels along each axis
    path.write_bytes(gzip.compress(raw) if compressed else raw)
    with pytest.raises(InputError, match="is truncated"):
        read_transform(path)


def test_the_warp_that_greedy_writes_is_read(tmp_path, numpy_backend):
    place = grid("oblique", shape=(20, 18, 16))
    fixed, moving = (Image(smooth_volume(place.shape, 1, sigma), place) for sigma in (3.0, 2.5))
    paths = {name: tmp_path / name for name in ("f.nii", "m.nii", "w.nii.gz", "out.nii")}
    write_image(fixed, paths["f.nii"])
    write_image(moving, paths["m.nii"])
    for call in (
        "-d 3 -i f.nii m.nii -o w.nii.gz -n 10x5 -m NCC 2x2x2 -s 2vox 1vox -wp 0",
        "-d 3 -rf f.nii -rm m.nii out.nii -r w.nii.gz",
    ):
        Greedy3D().execute(" ".join(str(paths.get(word, word)) for word in call.split()))
    ours = warp(moving, read_transform(paths["w.nii.gz"]), fixed.grid, backend=numpy_backend).data
    inside = (slice(3, -3),) * 3
    np.testing.assert_allclose(ours[inside], read_image(paths["out.nii"]).data[inside], atol=1e-5)
    assert np.abs(ours - moving.data)[inside].max() > 0.02


def test_flat_warps_and_affines_of_ants_map_points_as_ants_does(tmp_path):
    fixed = ants.from_numpy(smooth_volume((40, 36), 1, 4.0), spacing=(2.0, 1.5), origin=(5.0, -7.0))
    moving = ants.from_numpy(smooth_volume((42, 38), 2, 4.0), spacing=(1.8, 1.6), origin=(4.0, -6.0))
    files = ants.registration(fixed, moving, "SyN", outprefix=str(tmp_path / "t"), reg_iterations=(20, 10))[
        "fwdtransforms"
    ]
    points = np.random.default_rng(0).uniform((10, 0), (70, 40), (20, 2))
    theirs = ants.apply_transforms_to_points(2, pandas.DataFrame(points, columns=["x", "y"]), files).to_numpy()
    chain = Chain.of(*(read_transform(path) for path in files))
    ours = chain.map_points(np.column_stack([points * (-1, -1), np.zeros(20)]))
    rounding = 4 * np.spacing(np.float32(64))  # ANTs passes points of up to 70 mm on in single precision
    np.testing.assert_allclose(ours, np.column_stack([theirs * (-1, -1), np.zeros(20)]), rtol=0, atol=rounding)
    assert np.abs(chain.parts[0].field[:2]).max() > 0.5 and not chain.parts[0].field[2].any()


def test_ants_warps_a_flat_image_through_what_we_write_in_2_d(tmp_path, numpy_backend):
    fixed_grid, moving_grid = (
        Grid((20, 18, 1), np.diag([-2.0, -1.5, 1, 1])),
        Grid((22, 19, 1), np.diag([-1.8, -1.6, 1, 1])),
    )
    moving = Image(smooth_volume(moving_grid.shape, 2, 3.0), moving_grid)
    matrix = np.eye(4)
    matrix[:2] = (1.02, 0.05, 0, 1.5), (-0.03, 0.97, 0, -0.8)
    field, affine = Displacement(smooth_field(fixed_grid.shape, 1, 2.0), fixed_grid), Affine(matrix)
    write_transform(field, tmp_path / "w.nii.gz", "itk-warp-2d")
    write_transform(affine, tmp_path / "a.mat", "itk-affine-2d")
    flat = [ants.from_numpy(np.zeros(fixed_grid.shape[:2], np.float32), spacing=(2.0, 1.5))]
    flat.append(ants.from_numpy(moving.data[:, :, 0], spacing=(1.8, 1.6)))
    theirs = ants.apply_transforms(*flat, [str(tmp_path / "w.nii.gz"), str(tmp_path / "a.mat")]).numpy()
    ours = warp(moving, Chain((field, affine)), fixed_grid, backend=numpy_backend).data[:, :, 0]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for name, made in (("w.nii.gz", field), ("a.mat", affine)):
        assert identify(tmp_path / name).format.endswith("-2d")
        points = np.array([(-10.0, -9, 0), (-22, -11, 0)])
        np.testing.assert_allclose(
            read_transform(tmp_path / name).map_points(points), made.map_points(points), atol=1e-6
        )


def test_what_leaves_its_slice_is_not_written_in_2_d(tmp_path):
    with pytest.raises(UsageError, match=r"on \(17, 15, 13\) voxels does not fit a 2-D file"):
        write_transform(displacement(grid()), tmp_path / "w.nii", "itk-warp-2d")
    with pytest.raises(UsageError, match="moves points out of their slice"):
        write_transform(motion(), tmp_path / "a.mat", "itk-affine-2d")
    assert list(tmp_path.iterdir()) == []


def test_a_field_whose_matrices_differ_lies_where_itk_sees_it(tmp_path):
    field = displacement(grid("oblique"))
    write_transform(field, tmp_path / "w.nii")
    stored = nibabel.load(tmp_path / "w.nii", mmap=False)
    stored.set_sform(np.diag((-1, 1, 1, 1)) @ stored.affine, 4)
    nibabel.save(stored, tmp_path / "odd.nii")
    theirs = SimpleITK.DisplacementFieldTransform(
        SimpleITK.ReadImage(str(tmp_path / "odd.nii"), SimpleITK.sitkVectorFloat64)
    )
    ours = read_transform(tmp_path / "odd.nii")
    assert ours.grid == field.grid
    points = np.random.default_rng(0).normal(field.grid.centre, 8, (20, 3))
    expected = [theirs.TransformPoint(point * (-1, -1, 1)) for point in points]
    np.testing.assert_allclose(ours.map_points(points), np.array(expected) * (-1, -1, 1), atol=1e-3)
