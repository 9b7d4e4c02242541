"""`least_jacobian` and `unfold` of every backend against slow loops, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest

import field_oracles
from backends.rounding import assert_rounded
from synthetic import smooth_field

SHAPES = [(9, 7, 5), (9, 7, 1), (1, 6, 5), (6, 1, 5), (2, 3, 2), (3, 18, 35)]
"""The last one takes several blocks of a GPU kernel along j and k."""
LIMIT, TARGET = 0.05, 0.1


def least(backend, field):
    return np.array(backend.download(backend.least_jacobian(backend.upload(field.copy()))))


def unfolded(backend, field, sweeps, limit=LIMIT, *, known=False):
    given = backend.upload(field.copy())
    determinants = backend.least_jacobian(given) if known else None
    backend.unfold(given, limit=limit, target=TARGET, sweeps=sweeps, least=determinants)
    return np.array(backend.download(given))


def checkerboard(size):
    """One voxel moved by `size` along the first axis: central differences there see nothing of it."""
    field = np.zeros((3, 7, 6, 5), np.float32)
    field[0, 3, 3, 2] = size
    return field


@pytest.mark.parametrize("shape", SHAPES)
def test_least_jacobian(backend, shape):
    field = smooth_field(shape, 11, largest=2, sigma=1)
    assert_rounded(least(backend, field), field_oracles.least_jacobian(field), scale=8)


def test_least_jacobian_of_an_affine_field_is_its_determinant(backend):
    matrix = np.eye(3) + np.random.default_rng(12).uniform(-0.3, 0.3, (3, 3))
    field = np.tensordot(matrix - np.eye(3), np.indices((6, 5, 7)), 1).astype(np.float32)
    assert_rounded(least(backend, field), np.full((6, 5, 7), np.linalg.det(matrix)), scale=4)


def test_least_jacobian_sees_what_central_differences_miss(backend):
    field = checkerboard(1.5)
    assert backend.download(backend.jacobian(backend.upload(field)))[3, 3, 2] == 1
    assert least(backend, field)[3, 3, 2] == -0.5


def test_least_jacobian_is_never_above_the_central_one(backend):
    field = smooth_field((6, 9, 8), 3, largest=2, sigma=1)
    central = np.array(backend.download(backend.jacobian(backend.upload(field))))
    assert (least(backend, field) <= central + 1e-5).all()


def test_least_jacobian_fills_out(backend):
    out = backend.empty((4, 5, 6))
    assert backend.least_jacobian(backend.zeros((3, 4, 5, 6)), out=out) is out
    np.testing.assert_array_equal(backend.download(out), np.ones((4, 5, 6), np.float32))


@pytest.mark.parametrize("shape", [(9, 7, 8), (2, 3, 2), (8, 9, 1), (1, 8, 9)])
@pytest.mark.parametrize("sweeps", [1, 3])
def test_unfold_moves_as_numpy_does(backend, numpy_backend, shape, sweeps):
    field = smooth_field(shape, 5, largest=1.5, sigma=1)
    assert_rounded(unfolded(backend, field, sweeps), unfolded(numpy_backend, field, sweeps), scale=8)


@pytest.mark.parametrize("sweeps", [1, 3])
def test_unfold_does_the_same_with_known_determinants(backend, sweeps):
    field = smooth_field((9, 7, 8), 5, largest=1.5, sigma=1)
    expected = unfolded(backend, field, sweeps)
    assert (expected != field).any()
    np.testing.assert_array_equal(unfolded(backend, field, sweeps, known=True), expected)


@pytest.mark.parametrize("shape", [(14, 12, 13), (14, 12, 1)])
def test_unfold_raises_every_determinant(backend, shape):
    field = smooth_field(shape, 6, largest=3.0, sigma=1)
    assert np.count_nonzero(least(backend, field) <= 0) > 10
    found = unfolded(backend, field, 100, limit=1.1 * LIMIT)
    assert field_oracles.least_jacobian(found).min() > LIMIT
    assert shape[2] > 1 or (found[2] == field[2]).all()


def test_unfold_leaves_alone_what_is_not_near(backend):
    field = smooth_field((20, 8, 8), 7, largest=0.1, sigma=2)
    field[0, 3, 4, 4] += 1.5
    found = unfolded(backend, field, 30)
    assert least(backend, found).min() > 0
    assert np.abs(found - field).max() > 0.1
    np.testing.assert_array_equal(found[:, 8:], field[:, 8:])


def test_unfold_leaves_a_map_without_low_determinants_alone(backend):
    field = smooth_field((9, 7, 5), 8, largest=0.2)
    assert least(backend, field).min() > LIMIT
    np.testing.assert_array_equal(unfolded(backend, field, 5), field)
