"""SPM's deformation fields: hand-computed points, files laid out as SPM lays them out."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from made_transforms import PAIRS, inner_points, made_chain, made_pair
from warpline.errors import InputError
from warpline.io.transform_files import identify, read_transform, write_transform
from warpline.space import Displacement
from warpline.space.grid import Grid, apply_affine


def save_field(path, places, grid, description="Deformation"):
    """(X, Y, Z, 1, 3) float32 without intent, the description as SPM sets it."""
    image = nibabel.Nifti1Image(np.float32(places)[:, :, :, None], grid.affine)
    image.header["descrip"] = description
    nibabel.save(image, path)


def test_points_by_hand(tmp_path):
    grid = Grid((5, 6, 7), np.diag([-2.0, 2, 2, 1]))
    places = np.zeros((5, 6, 7, 3))
    places[1, 2, 3], places[2, 2, 3] = (10, 20, 30), (12, 22, 32)
    for name, description in (("y_me.nii", "Deformation"), ("iy_me.nii", "Inverse Deformation")):
        save_field(tmp_path / name, places, grid, description)
        ours = read_transform(tmp_path / name)
        np.testing.assert_allclose(ours.map_points([-2, 4, 6]), (10, 20, 30), atol=1e-5)
        np.testing.assert_allclose(ours.map_points([-3, 4, 6]), (11, 21, 31), atol=1e-5)
        assert identify(tmp_path / name).format == "spm-deformation"


def test_the_deformations_utility_saves_places_not_shifts(tmp_path):
    grid = Grid((5, 6, 7), np.diag([-2.0, 2, 2, 1]))
    image = nibabel.Nifti1Image(np.full((5, 6, 7, 1, 3), (10, 20, 30), np.float32), grid.affine)
    image.header["descrip"] = "Deformation field"
    image.header.set_intent("vector", name="Mapping")
    nibabel.save(image, tmp_path / "y_saved.nii")
    assert identify(tmp_path / "y_saved.nii").format == "spm-deformation"
    np.testing.assert_allclose(read_transform(tmp_path / "y_saved.nii").map_points([-2, 4, 6]), (10, 20, 30), atol=1e-5)


@pytest.mark.parametrize(("fixed_axes", "moving_axes"), PAIRS)
def test_places_are_those_of_the_map(tmp_path, fixed_axes, moving_axes):
    fixed, _ = made_pair(fixed_axes, moving_axes)
    chain = made_chain(fixed)
    write_transform(chain, tmp_path / "y_me.nii", "spm-deformation")
    stored = nibabel.load(tmp_path / "y_me.nii")
    assert stored.shape == (*fixed.shape, 1, 3) and stored.get_data_dtype() == np.float32
    assert stored.header["descrip"] == b"Deformation" and stored.header["intent_code"] == 0
    voxels = np.moveaxis(np.indices(fixed.shape), 0, -1)
    places = chain.map_points(apply_affine(stored.affine, voxels))
    np.testing.assert_allclose(np.asarray(stored.dataobj)[:, :, :, 0], places, atol=1e-5)
    points = inner_points(fixed)
    np.testing.assert_allclose(
        read_transform(tmp_path / "y_me.nii").map_points(points), chain.map_points(points), atol=2e-5
    )


def test_not_a_number_beyond_the_field_of_view_is_kept(tmp_path):
    grid = Grid((4, 4, 4), np.eye(4))
    places = np.moveaxis(np.indices(grid.shape), 0, -1).astype(np.float32)
    places[0] = np.nan
    save_field(tmp_path / "y.nii", places, grid)
    field = read_transform(tmp_path / "y.nii").field
    assert np.isnan(field[:, 0]).all() and not field[:, 1:].any()


@pytest.mark.parametrize("name", ["w.nii.gz", "w.h5", "w.x5"])
def test_a_field_with_gaps_is_written_for_spm_only(tmp_path, name):
    field = np.zeros((3, 4, 5, 6), np.float32)
    field[:, 0] = np.nan
    warp = Displacement(field, Grid((4, 5, 6), np.eye(4)))
    with pytest.raises(InputError, match=rf"{name}: the field is not known \(NaN\) at 30 of 120 voxels"):
        write_transform(warp, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    write_transform(warp, tmp_path / "y.nii", "spm-deformation")
    np.testing.assert_array_equal(read_transform(tmp_path / "y.nii").field, field)


def test_what_is_no_deformation_is_refused(tmp_path):
    grid = Grid((4, 4, 4), np.eye(4))
    places = np.moveaxis(np.indices(grid.shape), 0, -1)
    save_field(tmp_path / "u_me.nii", places, grid, "Flow field")
    with pytest.raises(InputError, match=r"u_me\.nii is a flow field, not a deformation"):
        read_transform(tmp_path / "u_me.nii", "spm-deformation")
    save_field(tmp_path / "y.nii", np.full((4, 4, 4, 3), np.nan), grid)
    with pytest.raises(InputError, match="is NaN everywhere"):
        read_transform(tmp_path / "y.nii")
    save_field(tmp_path / "y.nii", np.full((4, 4, 4, 3), np.inf), grid)
    with pytest.raises(InputError, match="NaN or infinite"):
        read_transform(tmp_path / "y.nii")
