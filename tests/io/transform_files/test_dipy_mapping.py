"""DIPY's mapping files go back and forth between the real DIPY and us without losing a bit."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from dipy.align import read_mapping, write_mapping
from dipy.align.imwarp import DiffeomorphicMap
from scipy.spatial.transform import Rotation

from synthetic import fading_field, smooth_volume
from warpline.errors import InputError
from warpline.images import Image
from warpline.io.images import write_image
from warpline.io.transform_files import read_transform, write_transform
from warpline.resampling import warp
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

STATIC, MOVING = (12, 11, 10), (13, 10, 9)


def affine(seed, size):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (10 * seed, -20, 15), degrees=True).as_matrix() @ np.diag(size)
    matrix[:3, 3] = (-9, -12, -10)
    return matrix


STATIC_GRID, MOVING_GRID = Grid(STATIC, affine(1, (-2, 2, 2.5))), Grid(MOVING, affine(2, (2, 2.2, 2.4)))


def their_map():
    mapping = DiffeomorphicMap(
        3, STATIC, disp_grid2world=STATIC_GRID.affine, domain_shape=MOVING, domain_grid2world=MOVING_GRID.affine,
        codomain_shape=STATIC, codomain_grid2world=STATIC_GRID.affine,
    )  # fmt: skip
    mapping.forward, mapping.backward = (
        np.ascontiguousarray(np.moveaxis(fading_field(STATIC, seed, 3.0), 0, -1)) for seed in (1, 2)
    )
    mapping.is_inverse = True
    return mapping


def test_files_have_the_bytes_that_dipy_writes(tmp_path):
    theirs = their_map()
    write_mapping(theirs, str(tmp_path / "theirs.nii"))
    field, inverse = (np.moveaxis(array, -1, 0) for array in (theirs.backward, theirs.forward))
    write_transform(Displacement(field, STATIC_GRID, inverse), tmp_path / "ours.nii", "dipy-mapping")
    assert (tmp_path / "ours.nii").read_bytes() == (tmp_path / "theirs.nii").read_bytes()


def test_reads_what_dipy_writes(tmp_path):
    theirs = their_map()
    write_mapping(theirs, str(tmp_path / "m.nii.gz"))
    ours = read_transform(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(np.moveaxis(ours.field, 0, -1), theirs.backward)
    np.testing.assert_array_equal(np.moveaxis(ours.inverse_field, 0, -1), theirs.forward)
    np.testing.assert_allclose(ours.grid.affine, STATIC_GRID.affine, atol=1e-5)


def test_dipy_reads_what_we_write_and_warps_points_as_we_do(tmp_path, numpy_backend):
    field = Displacement(fading_field(STATIC, 2, 3.0), STATIC_GRID, fading_field(STATIC, 1, 3.0))
    write_transform(field, tmp_path / "m.nii.gz", "dipy-mapping")
    moving = Image(smooth_volume(MOVING, 3), MOVING_GRID)
    write_image(moving, tmp_path / "moving.nii.gz")
    write_image(Image(smooth_volume(STATIC, 4), STATIC_GRID), tmp_path / "static.nii.gz")
    prealign = affine(0, (1.02, 0.97, 1.0))
    prealign[:3, 3] = (1.0, -0.5, 0.7)
    theirs = read_mapping(
        str(tmp_path / "m.nii.gz"), str(tmp_path / "moving.nii.gz"), str(tmp_path / "static.nii.gz"),
        prealign=np.linalg.inv(prealign),
    )  # fmt: skip
    np.testing.assert_array_equal(np.moveaxis(theirs.backward, -1, 0), field.field)
    np.testing.assert_array_equal(np.moveaxis(theirs.forward, -1, 0), field.inverse_field)
    chain = Chain((field, Affine(prealign)))
    points = np.random.default_rng(0).normal(STATIC_GRID.centre, 3, (40, 3))
    np.testing.assert_allclose(chain.map_points(points), theirs.transform_points(points), atol=1e-4)
    np.testing.assert_allclose(chain.inverse().map_points(points), theirs.transform_points_inverse(points), atol=1e-4)
    inside = (slice(3, -3),) * 3
    ours = warp(moving, chain, STATIC_GRID, backend=numpy_backend).data
    np.testing.assert_allclose(ours[inside], theirs.transform(moving.data)[inside], atol=1e-4)


def test_points_by_hand(tmp_path):
    # 2 mm voxels, x to the left: voxel (1, 1, 2) is world (-2, 2, 4); the header holds world to voxel
    values = np.zeros((3, 4, 5, 3, 2), np.float32)
    values[1, 1, 2, :, 1] = (1, 2, 5)  # DIPY's backward: fixed to moving
    values[1, 1, 2, :, 0] = (10, 20, 50)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-0.5, 0.5, 0.5, 1])), tmp_path / "m.nii")
    ours = read_transform(tmp_path / "m.nii")
    np.testing.assert_allclose(ours.map_points([-2, 2, 4]), (-1, 4, 9))
    np.testing.assert_allclose((~ours).map_points([-2, 2, 4]), (8, 22, 54))


def test_what_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / "m.nii"
    for data, message in (
        (np.zeros((4, 4, 4, 3, 2), np.int16), r"m\.nii is no DIPY mapping; NIfTI of floats"),
        (np.full((4, 4, 4, 3, 2), np.nan, np.float32), "NaN or infinite displacements"),
    ):
        nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), path)
        with pytest.raises(InputError, match=message):
            read_transform(path)
    with pytest.raises(InputError, match="no inverse yet"):
        write_transform(Displacement(fading_field(STATIC), STATIC_GRID), path, "dipy-mapping")
