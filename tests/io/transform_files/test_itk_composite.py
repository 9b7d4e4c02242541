"""ITK's composite transforms in HDF5: what ANTs and SimpleITK write and read, in either spelling, of any length."""

from __future__ import annotations

import struct

import ants
import h5py
import nitransforms
import numpy as np
import pytest
import SimpleITK

from made_transforms import LPS, PAIRS, inner_points, made_affine, made_chain, made_displacement, made_grid, made_pair
from synthetic import smooth_volume
from warpline.errors import InputError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.io.transform_files import read_transform, write_transform
from warpline.resampling import warp
from warpline.space import Affine, Chain, Displacement


def mapped(theirs, points):
    return np.array([theirs.TransformPoint(point) for point in (points * LPS).tolist()]) * LPS


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_itk_maps_points_as_we_do(tmp_path, fixed_axes, moving_axes):
    fixed, _ = made_pair(fixed_axes, moving_axes)
    chain, points = made_chain(fixed), inner_points(fixed)
    for name, ours in (("forward.h5", chain), ("inverse.h5", chain.inverse())):
        write_transform(ours, tmp_path / name)
        theirs = SimpleITK.ReadTransform(str(tmp_path / name))
        np.testing.assert_allclose(mapped(theirs, points), ours.map_points(points), atol=1e-11)
        back = read_transform(tmp_path / name)
        assert [type(part) for part in back.parts] == [type(part) for part in ours.parts]
        np.testing.assert_allclose(back.map_points(points), ours.map_points(points), atol=1e-11)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_ants_warps_an_image_through_the_file_as_we_do(tmp_path, numpy_backend, fixed_axes, moving_axes):
    fixed_grid, moving_grid = made_pair(fixed_axes, moving_axes)
    fixed, moving = (Image(smooth_volume(grid.shape, 3), grid) for grid in (fixed_grid, moving_grid))
    chain = made_chain(fixed_grid)
    paths = [str(tmp_path / name) for name in ("f.nii.gz", "m.nii.gz", "c.h5")]
    write_image(fixed, paths[0])
    write_image(moving, paths[1])
    write_transform(chain, paths[2])
    theirs = ants.apply_transforms(ants.image_read(paths[0]), ants.image_read(paths[1]), [paths[2]]).numpy()
    ours = warp(moving, read_transform(paths[2]), fixed_grid, backend=numpy_backend).data
    assert np.abs(ours - theirs).max() <= 1e-5
    assert np.ptp(ours) > 0.3


def test_composites_that_ants_writes_are_read_both_ways(tmp_path):
    volumes = [ants.from_numpy(smooth_volume((16, 15, 14), seed, 2.0), spacing=(2.0, 2.0, 2.0)) for seed in (1, 2)]
    done = ants.registration(
        *volumes,
        type_of_transform="SyN",
        reg_iterations=(5, 0),
        aff_iterations=(5, 0, 0, 0),
        outprefix=str(tmp_path / "out"),
        write_composite_transform=True,
    )
    points = np.random.default_rng(0).uniform(6, 22, (20, 3)) / LPS
    for path in (done["fwdtransforms"], done["invtransforms"]):
        ours, theirs = read_transform(path), SimpleITK.ReadTransform(path)
        assert isinstance(ours, Chain) and {type(part) for part in ours.parts} == {Affine, Displacement}
        np.testing.assert_allclose(ours.map_points(points), mapped(theirs, points), atol=1e-5)
        assert np.abs(ours.map_points(points) - points).max() > 0.1


def test_ten_parts_are_taken_in_the_order_of_their_numbers(tmp_path):
    shift, double = np.eye(4), np.diag([2.0, 2, 2, 1])
    shift[0, 3] = 1
    parts = (Affine(shift), *[Affine(double)] * 10, Affine(shift))
    write_transform(Chain(parts), tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5") as file:
        assert list(file["TransformGroup"])[:3] == ["0", "1", "10"]
    back = read_transform(tmp_path / "c.h5")
    assert len(back.parts) == 12
    np.testing.assert_array_equal(back.map_points([3, 0, 5]), ((3 + 1) * 2**10 + 1, 0, 5 * 2**10))
    theirs = SimpleITK.ReadTransform(str(tmp_path / "c.h5"))
    np.testing.assert_array_equal(mapped(theirs, np.array([[3.0, 0, 5]]))[0], back.map_points([3, 0, 5]))


def test_a_field_by_hand(tmp_path):
    # a 2-voxel grid in LPS at (10, 20, 30), 2 mm apart along x; the second voxel moves by (1, 2, 3) LPS
    with h5py.File(tmp_path / "c.h5", "w") as file:
        group = file.create_group("TransformGroup/0")
        group["TransformType"] = [b"DisplacementFieldTransform_float_3_3"]
        group["TransformFixedParameters"] = [2.0, 1, 1, 10, 20, 30, 2, 2, 2, 1, 0, 0, 0, 1, 0, 0, 0, 1]
        group["TransformParameters"] = np.float32([0, 0, 0, 1, 2, 3])
    ours = read_transform(tmp_path / "c.h5")
    np.testing.assert_allclose(ours.map_points([-12, -20, 30]), (-13, -22, 33))
    np.testing.assert_allclose(ours.map_points([-11, -20, 30]), (-11.5, -21, 31.5))


def test_the_old_spelling_is_read(tmp_path):
    chain, points = made_chain(made_grid("oblique")), inner_points(made_grid("oblique"))
    write_transform(chain, tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        for group in file["TransformGroup"].values():
            for name in set(group) - {"TransformType"}:
                group.move(name, name.replace("Transform", "Tranform"))
    np.testing.assert_array_equal(read_transform(tmp_path / "c.h5").map_points(points), chain.map_points(points))


def test_a_sheared_grid_is_kept(tmp_path):
    affine = made_grid("oblique").affine @ made_affine().matrix
    field = made_displacement(type(made_grid("oblique"))((11, 9, 10), affine))
    write_transform(field, tmp_path / "c.h5")
    points = inner_points(field.grid)
    theirs = SimpleITK.ReadTransform(str(tmp_path / "c.h5"))
    np.testing.assert_allclose(mapped(theirs, points), field.map_points(points), atol=1e-6)
    np.testing.assert_allclose(
        read_transform(tmp_path / "c.h5").map_points(points), field.map_points(points), atol=1e-6
    )


def test_a_flat_field_leaves_the_third_axis_alone(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(7, 5, 2))
    image = SimpleITK.GetImageFromArray(vectors, isVector=True)
    image.SetSpacing((2.0, 3.0))
    image.SetOrigin((4.0, -6.0))
    theirs = SimpleITK.DisplacementFieldTransform(image)
    SimpleITK.WriteTransform(theirs, str(tmp_path / "c.h5"))
    points = np.array([(5.5, -1.0), (8.0, 4.2)])
    expected = np.array([theirs.TransformPoint(point) for point in points.tolist()]) * LPS[:2]
    ours = read_transform(tmp_path / "c.h5").map_points(np.column_stack([points * LPS[:2], (0, 0)]))
    np.testing.assert_allclose(ours, np.column_stack([expected, (0, 0)]), atol=1e-6)


def test_nitransforms_maps_voxels_as_we_do(tmp_path):
    chain = made_chain(made_grid("left-handed"))
    write_transform(chain, tmp_path / "c.h5")
    theirs = nitransforms.manip.TransformChain.from_filename(tmp_path / "c.h5", fmt="itk")
    voxels = np.random.default_rng(0).integers(1, 8, (20, 3))
    points = voxels @ chain.parts[0].grid.affine[:3, :3].T + chain.parts[0].grid.affine[:3, 3]
    np.testing.assert_allclose(theirs.map(points), chain.map_points(points), atol=1e-4)


def edited(path, edit):
    write_transform(made_chain(made_grid("straight")), path)
    with h5py.File(path, "r+") as file:
        edit(file["TransformGroup"])


def replace(name, value, group="1"):
    def edit(top):
        del top[group][name]
        if value is not None:
            top[group][name] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda top: top.pop("0"), "holds 2 transforms without a CompositeTransform"),
        (lambda top: [top.pop(name) for name in "012"], "holds no transform in /TransformGroup"),
        (replace("TransformParameters", None), "has no TransformParameters in /TransformGroup/1"),
        (replace("TransformType", None), "has no TransformType in /TransformGroup/1"),
        (replace("TransformParameters", np.full(12, np.nan)), "singular or not finite"),
        (replace("TransformParameters", np.full(2970, np.nan), "2"), "NaN or infinite displacements"),
        (replace("TransformParameters", np.zeros(17), "2"), "17 numbers are no field of 3 x"),
        (replace("TransformFixedParameters", np.full(18, np.nan), "2"), "18 finite ones are needed"),
        (replace("TransformFixedParameters", np.full(18, 1e30), "2"), "numbers are no field of|singular"),
        (replace("TransformFixedParameters", np.zeros(18), "2"), r"holds a field of \(0, 0, 0\) voxels"),
        (replace("TransformFixedParameters", np.zeros(4), "2"), "has 4 fixed parameters for a field; 18 finite"),
    ],
)
def test_damage_is_named(tmp_path, edit, message):
    edited(tmp_path / "bad.h5", edit)
    with pytest.raises(InputError, match=message) as caught:
        read_transform(tmp_path / "bad.h5")
    assert "bad.h5" in str(caught.value)


@pytest.mark.parametrize("shift", [8, 4096, -1])
def test_strings_that_lie_nowhere_are_not_looked_for(tmp_path, shift):
    """The HDF5 library takes memory by the length that is claimed before it finds no string."""
    path = tmp_path / "bad.h5"
    write_transform(made_chain(made_grid("oblique")), path)
    with h5py.File(path) as file:
        place = file["TransformGroup/0/TransformType"].id.get_offset()
    content = bytearray(path.read_bytes())
    length, address, number = struct.unpack_from("<IQI", content, place)
    struct.pack_into("<IQI", content, place, 2**31 - length, address + shift if shift > 0 else 2**60, number)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged or truncated HDF5 file \(TransformType\)"):
        read_transform(path)
