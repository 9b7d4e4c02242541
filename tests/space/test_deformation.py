"""Bending, strain and largest determinants of displacements, against slow double precision."""

from __future__ import annotations

import numpy as np
import pytest

import field_oracles
from synthetic import smooth_field
from warpline.evaluation import bending_energy
from warpline.space import Displacement
from warpline.space.deformation import bending_density, largest_jacobian, largest_strain
from warpline.space.fields import to_voxels, to_world
from warpline.space.grid import Grid

AFFINE = np.array([[0, -2.0, 0, 1], [1.5, 0, 0.1, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
SHAPES = [(9, 8, 7), (9, 1, 7)]


def slopes(field, grid):
    """``du_c / dx_b`` in double precision: (I, J, K, 3, 3)."""
    along = [np.gradient(np.float64(field), axis=a + 1) if n > 1 else 0.0 * field for a, n in enumerate(grid.shape)]
    return np.einsum("ac...,ab->...cb", np.stack(along), grid.inverse_affine[:3, :3])


def made(shape, largest=2.0):
    grid = Grid(shape, AFFINE)
    return to_world(smooth_field(shape, 3, largest, sigma=1.5), grid), grid


@pytest.mark.parametrize("shape", SHAPES)
def test_strain_is_that_of_singular_values(backend, shape):
    field, grid = made(shape)
    jacobian = slopes(field, grid) + np.eye(3)
    expected = np.abs(np.log(np.linalg.svd(jacobian, compute_uv=False))).max(axis=-1)
    expected[np.linalg.det(jacobian) <= 0] = np.inf
    found = backend.download(largest_strain(backend.upload(field), grid, backend))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_strain_of_rotations_is_zero_and_of_folds_infinite(numpy_backend):
    grid = Grid((5, 5, 5), np.eye(4))
    place = np.indices(grid.shape, dtype=np.float64)
    turned = np.stack([-place[1], place[0], place[2]]) - place
    folded = np.stack([-place[0], place[1], place[2]]) - place
    none, infinite = (largest_strain(np.float32(field), grid, numpy_backend) for field in (turned, folded))
    np.testing.assert_allclose(none, 0, atol=1e-5)
    assert np.isposinf(infinite).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_bending_is_that_of_slopes_of_slopes(backend, shape):
    field, grid = made(shape)
    first = np.moveaxis(slopes(field, grid), (3, 4), (0, 1)).reshape(9, *shape)
    expected = sum((slopes(first[n : n + 3], grid) ** 2).sum(axis=(-2, -1)) for n in (0, 3, 6))
    found = backend.download(bending_density(backend.upload(field), grid, backend))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert bending_energy(Displacement(field, grid)) == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_determinant_is_that_of_any_differences(backend, shape):
    field, grid = made(shape)
    voxels = to_voxels(field, grid)
    found = backend.download(largest_jacobian(backend.upload(voxels), backend))
    np.testing.assert_allclose(found, field_oracles.extreme_jacobian(voxels, max), rtol=1e-4, atol=1e-5)


def test_the_largest_determinant_of_a_stretch_is_the_stretch(numpy_backend):
    field = np.zeros((3, 6, 5, 4), np.float32)
    field[1] = 0.5 * np.arange(5).reshape(5, 1)
    np.testing.assert_allclose(largest_jacobian(field, numpy_backend), 1.5, atol=1e-5)
