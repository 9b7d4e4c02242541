"""Slices of volumes and of displacements."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.report.slices import displacement_on_slices, jacobian_on_slices, middle_slices
from warpline.space import Affine, Displacement


def test_slices_are_upright_with_the_right_side_right(phantom):
    for image in (phantom.fixed, phantom.moving):
        sagittal, coronal, axial = middle_slices(image)
        assert [section.letters for section in (sagittal, coronal, axial)] == [
            ("P", "A", "I", "S"),
            ("L", "R", "I", "S"),
            ("L", "R", "P", "A"),
        ]
        for section, (across, up) in ((sagittal, (1, 2)), (coronal, (0, 2)), (axial, (0, 1))):
            world = np.tensordot(image.affine[:3, :3], section.voxels, 1)
            assert world[across, 0, -1] > world[across, 0, 0]
            assert world[up, 0, 0] > world[up, -1, 0]


def test_jacobian_on_a_slice_is_that_of_the_map(phantom):
    grid = phantom.moving.grid
    matrix = np.eye(4)
    matrix[:3, :3] += ((0.1, 0.2, 0.0), (-0.1, -0.2, 0.1), (0.0, 0.1, 0.3))
    world = np.einsum("ab,bijk->aijk", grid.affine[:3, :3], np.indices(grid.shape))
    field = np.einsum("ab,bijk->aijk", matrix[:3, :3] - np.eye(3), world).astype(np.float32)
    for section in middle_slices(phantom.moving):
        map_ = Displacement(field, grid)
        jacobian = jacobian_on_slices((section,), map_, displacement_on_slices((section,), map_))
        assert np.median(jacobian) == pytest.approx(np.linalg.det(Affine(matrix).matrix), abs=1e-3)
