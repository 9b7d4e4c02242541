"""Means of maps: of affines, of displacements, of velocities; mirrored maps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm, logm
from scipy.spatial.transform import Rotation

from synthetic import fading_field
from warpline.backends import select
from warpline.io.transform_files import write_transform
from warpline.space import Affine, Chain, Displacement, exponential
from warpline.space.grid import Grid
from warpline.template.shape import (
    MapFiles,
    logarithm,
    mean_affine,
    mean_field,
    mean_map,
    mirror,
    mirrored_field,
    mirrored_matrix,
    rotation_angle,
)

GRID = Grid((16, 14, 12), np.diag([2.0, 2.0, 2.0, 1.0]))
POINTS = np.array([[9.0, 11.0, 7.0], [15.0, 13.0, 11.0], [20.0, 9.0, 14.0]])


def moved(angle, stretch, shift):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(angle).as_matrix() @ np.diag(stretch)
    matrix[:3, 3] = shift
    return matrix


@pytest.mark.parametrize("angle", [0.0, 0.3, 2.5])
def test_logarithms_are_those_of_scipy(angle):
    matrix = moved([angle, 0.1, -0.2], [1.2, 0.9, 1.1], [30, -80, 5])
    assert np.allclose(logarithm(matrix), logm(matrix), atol=1e-10)
    assert np.allclose(expm(logarithm(matrix)), matrix, atol=1e-10)


def test_the_mean_of_an_affine_and_its_inverse_is_the_identity():
    matrix = moved([0.2, 0.1, 0], [1.3, 0.8, 1.0], [4, 5, 6])
    assert np.allclose(mean_affine([matrix, np.linalg.inv(matrix)], np.ones(2)), np.eye(4), atol=1e-12)
    assert np.allclose(mean_affine([matrix, np.eye(4)], np.array([1.0, 0.0])), matrix, atol=1e-12)


def test_the_mean_of_scales_is_geometric():
    scales = [np.diag([s, 1, 1, 1]) for s in (0.5, 2.0, 4.0)]
    assert np.isclose(mean_affine(scales, np.ones(3))[0, 0], 4 ** (1 / 3))


def test_fields_are_averaged_by_weight():
    first, second = (np.full((3, *GRID.shape), value, np.float32) for value in (1, 4))
    assert np.allclose(mean_field([(first, 2.0), (second, 1.0)], GRID), 2.0)


def written(tmp_path, name, matrix, **fields):
    files = {"affine": tmp_path / f"{name}.mat"}
    write_transform(Affine(matrix), files["affine"])
    for kind, field in fields.items():
        files[kind] = tmp_path / f"{name}_{kind}.nii.gz"
        write_transform(Displacement(field, GRID), files[kind])
    return MapFiles(**files)


def test_through_the_inverse_of_their_mean_maps_average_to_none(tmp_path):
    fields = [fading_field(GRID.shape, seed=n, largest=2.0) for n in range(3)]
    maps = [
        written(tmp_path, n, moved([0.02 * n, 0, 0], [1, 1 + 0.02 * n, 1], [n, 0, 0]), warp=fields[n]) for n in range(3)
    ]
    mean = mean_map(maps, [1.0, 1.0, 1.0], GRID, select("numpy"))
    back = Chain.of(mean.inverse, Displacement(np.mean(fields, axis=0).astype(np.float32), GRID), mean.affine)
    assert np.abs(back.map_points(POINTS) - POINTS).max() < 0.02
    expected = np.linalg.norm(mean.affine.map_points(POINTS) - POINTS, axis=1)
    assert mean.length.shape == GRID.shape and mean.length.max() > expected.min()


def test_subjects_of_no_weight_do_not_count(tmp_path):
    maps = [written(tmp_path, "a", moved([0, 0, 0.1], [1, 1, 1], [1, 2, 3])), MapFiles(tmp_path / "missing.mat")]
    mean = mean_map(maps, [0.5, 0.0], GRID, select("numpy"))
    assert np.allclose(mean.affine.matrix, maps[0].matrix(), atol=1e-6) and mean.back.parts == ()


def test_velocities_are_averaged_where_all_have_them(tmp_path):
    fields = [fading_field(GRID.shape, seed=n, largest=2.0) for n in range(2)]
    maps = [written(tmp_path, n, np.eye(4), warp=0 * field, velocity=field) for n, field in enumerate(fields)]
    mean = mean_map(maps, [1.0, 1.0], GRID, select("numpy"))
    there = exponential(Displacement((fields[0] + fields[1]) / 2, GRID), backend="numpy")
    assert np.abs(Chain.of(there, mean.back).map_points(POINTS) - POINTS).max() < 0.02


def test_a_step_takes_a_share_of_the_displacement(tmp_path):
    maps = [written(tmp_path, "a", np.eye(4), warp=np.full((3, *GRID.shape), 1.0, np.float32))]
    mean = mean_map(maps, [1.0], GRID, select("numpy"), step=0.25)
    assert np.allclose(mean.length, 0.25 * np.sqrt(3), atol=1e-4)


def test_mirrored_maps_take_mirrored_points_to_mirrored_ones(tmp_path):
    matrix, field = moved([0.1, 0.2, 0], [1.1, 1, 1], [3, 2, 1]), fading_field(GRID.shape, largest=2.0)
    plane = Affine(np.eye(4)), mirror(GRID)
    there = Chain.of(Displacement(field, GRID), Affine(matrix))
    mirrored = Chain.of(Displacement(mirrored_field(field), GRID), Affine(mirrored_matrix(matrix, GRID)))

    def reflected(points):
        return points @ plane[1][:3, :3].T + plane[1][:3, 3]

    assert np.allclose(mirrored.map_points(reflected(POINTS)), reflected(there.map_points(POINTS)), atol=1e-4)


def test_a_symmetric_mean_map_is_its_own_mirror_image(tmp_path):
    maps = [written(tmp_path, "a", moved([0.1, 0.2, 0.1], [1.1, 1, 1], [3, 2, 1]), warp=fading_field(GRID.shape))]
    mean = mean_map(maps, [1.0], GRID, select("numpy"), symmetric=True)
    assert np.allclose(mirrored_matrix(mean.affine.matrix, GRID), mean.affine.matrix, atol=1e-6)
    assert np.allclose(mean.length, mean.length[::-1], atol=1e-4)


def test_angles_do_not_see_stretches():
    assert np.isclose(rotation_angle(moved([0, 0, np.radians(30)], [1.3, 0.8, 1], [5, 5, 5])), 30)
