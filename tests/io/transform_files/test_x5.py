"""X5 files: what nitransforms writes and reads."""

from __future__ import annotations

import h5py
import nibabel
import nitransforms
import numpy as np
import pytest
from nitransforms.io import x5 as their_x5

from made_transforms import PAIRS, inner_points, made_affine, made_chain, made_displacement, made_grid, made_pair
from warpline.errors import InputError
from warpline.io.transform_files import identify, read_transform, write_transform
from warpline.space import Affine, Chain, Displacement


def voxel_points(grid):
    voxels = np.random.default_rng(0).integers(1, 8, (20, 3))
    return voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def dense(field, *, deltas=True):
    values = np.moveaxis(field.field, 0, -1)
    image = nibabel.Nifti1Image(np.zeros(field.grid.shape, np.float32), field.grid.affine)
    if not deltas:
        voxels = np.moveaxis(np.indices(field.grid.shape), 0, -1)
        values = values + voxels @ field.grid.affine[:3, :3].T + field.grid.affine[:3, 3]
    return nitransforms.nonlinear.DenseFieldTransform(np.float32(values), is_deltas=deltas, reference=image)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_nitransforms_maps_points_as_we_do(tmp_path, fixed_axes, moving_axes):
    fixed, _ = made_pair(fixed_axes, moving_axes)
    chain = made_chain(fixed)
    write_transform(chain, tmp_path / "c.x5")
    theirs = nitransforms.manip.TransformChain.from_filename(tmp_path / "c.x5", fmt="X5")
    points = voxel_points(fixed)
    np.testing.assert_allclose(theirs.map(points), chain.map_points(points), atol=1e-4)  # single precision, theirs
    back = read_transform(tmp_path / "c.x5")
    assert [type(part) for part in back.parts] == [Displacement, Affine]
    points = inner_points(fixed)
    np.testing.assert_array_equal(back.map_points(points), chain.map_points(points))


def test_a_chain_that_nitransforms_writes_is_read(tmp_path):
    chain = made_chain(made_grid("oblique"))
    theirs = nitransforms.manip.TransformChain([dense(chain.parts[0]), nitransforms.Affine(chain.parts[1].matrix)])
    theirs.to_filename(tmp_path / "c.x5")
    ours, points = read_transform(tmp_path / "c.x5"), voxel_points(made_grid("oblique"))
    np.testing.assert_allclose(ours.map_points(points), chain.map_points(points), atol=1e-5)


def test_points_by_hand(tmp_path):
    shift = np.eye(4)
    shift[:3, 3] = (1, 2, 3)
    their_x5.to_filename(tmp_path / "a.x5", [nitransforms.Affine(shift).to_x5(store_inverse=True)])
    np.testing.assert_array_equal(read_transform(tmp_path / "a.x5").map_points([10, 20, 30]), (11, 22, 33))


@pytest.mark.parametrize("deltas", [True, False])
def test_fields_of_both_representations_are_read(tmp_path, deltas):
    field = made_displacement(made_grid("sagittal"))
    their_x5.to_filename(tmp_path / "w.x5", [dense(field, deltas=deltas).to_x5()])
    points = voxel_points(field.grid)
    np.testing.assert_allclose(
        read_transform(tmp_path / "w.x5").map_points(points), field.map_points(points), atol=1e-5
    )
    assert identify(tmp_path / "w.x5").format == "x5"


def edited(path, edit):
    write_transform(made_chain(made_grid("straight")), path)
    with h5py.File(path, "r+") as file:
        edit(file)


def replaced(name, value):
    def edit(file):
        del file[name]
        file[name] = value

    return edit


def second_chain(file):
    file["TransformChain/1"] = "1/0"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda file: file.attrs.__setitem__("Version", "0.0.1"), "is X5 of version 0.0.1; version 1"),
        (second_chain, "holds 2 transforms, but not one chain of them"),
        (replaced("TransformChain/0", "0/7"), "has a chain 0/7 of transforms 0, 1"),
        (lambda file: file["TransformGroup/1"].attrs.__setitem__("Type", "composite"), "holds a composite transform"),
        (lambda file: file["TransformGroup/1"].attrs.__setitem__("ArrayLength", 3), "or a series"),
        (lambda file: file["TransformGroup/0"].attrs.__setitem__("Representation", "bspline"), "a field of bspline"),
        (replaced("TransformGroup/1/Transform", np.eye(3)), "holds a matrix of shape (3, 3)"),
        (replaced("TransformGroup/1/Transform", np.full((4, 4), np.nan)), "singular or not finite"),
        (replaced("TransformGroup/0/Transform", np.zeros((4, 4, 4, 2))), "holds a field of shape (4, 4, 4, 2)"),
        (replaced("TransformGroup/0/Domain/Mapping", np.zeros((4, 4))), "the grid of its field"),
        (lambda file: file["TransformGroup/0"].pop("Domain"), "does not say on which grid"),
    ],
)
def test_damage_is_named(tmp_path, edit, message):
    edited(tmp_path / "bad.x5", edit)
    with pytest.raises(InputError) as caught:
        read_transform(tmp_path / "bad.x5")
    assert message in str(caught.value) and "bad.x5" in str(caught.value)


def test_an_affine_alone_stays_one(tmp_path):
    write_transform(Chain((made_affine(),)), tmp_path / "a.x5")
    np.testing.assert_array_equal(read_transform(tmp_path / "a.x5").matrix, made_affine().matrix)
    theirs = nitransforms.linear.load(tmp_path / "a.x5", fmt="X5")
    np.testing.assert_array_equal(theirs.matrix, made_affine().matrix)
