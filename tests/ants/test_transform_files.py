"""Transform files, against ANTsPy."""

from __future__ import annotations

import ants
import numpy as np
import pytest

from ants_peers import DIRECTIONS, in_ants, made_grid, smooth, write_affine, write_warp
from warpline import ants as ours

FIXED = made_grid(DIRECTIONS["oblique"], (13, 11, 10), (2.0, 2.3, 2.6))

POINTS = np.random.default_rng(0).uniform(-6, 6, (10, 3)) + np.array([-3.0, 20, 8])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transforms")
    return {"affine": write_affine(folder / "a.mat"), "warp": write_warp(folder / "w.nii.gz", FIXED)}


@pytest.mark.parametrize(("kind", "name"), [("affine", "b.mat"), ("affine", "b.txt"), ("warp", "v.nii.gz")])
def test_antspy_reads_what_is_written(files, tmp_path, kind, name):
    mine = ours.read_transform(files[kind])
    ours.write_transform(mine, tmp_path / name)
    theirs = ants.read_transform(str(tmp_path / name))
    for point in POINTS:
        np.testing.assert_allclose(theirs.apply_to_point(point.tolist()), mine.apply_to_point(point), atol=2e-5)


@pytest.mark.parametrize("directions", [("straight", "straight"), ("flipped", "straight"), ("oblique", "flipped")])
def test_a_matrix_of_fsl(directions):
    grids = [made_grid(DIRECTIONS[name], (12, 11, 10), (2.0, 2.3, 2.6)) for name in directions]
    matrix = np.array([[1.02, 0.1, -0.03, 4], [-0.08, 0.97, 0.02, -3], [0.01, 0.05, 1.04, 2], [0, 0, 0, 1]])
    theirs = ants.fsl2antstransform(matrix, *(in_ants(smooth(grid.shape, 1), grid) for grid in grids))
    mine = ours.fsl2antstransform(matrix, *((np.zeros(grid.shape), grid.affine) for grid in grids))
    for point in POINTS:
        np.testing.assert_allclose(mine.apply_to_point(point), theirs.apply_to_point(point.tolist()), atol=1e-4)
