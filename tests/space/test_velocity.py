"""Exponentials of stationary velocity fields, against flows that are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from oblique_pair import oblique_grid
from synthetic import fading_field
from warpline import Displacement, Grid, InputError
from warpline.space import exponential
from warpline.space.fields import to_world
from warpline.space.velocity import SQUARINGS, exponentiate, half_maps_of, half_weights

SHAPE = (26, 24, 22)


def in_voxels(field):
    return Displacement(field, Grid(field.shape[1:], np.eye(4)))


def voxels(shape=SHAPE):
    return np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3)


def test_the_flow_of_a_linear_velocity_is_a_matrix_exponential():
    """Linear fields are interpolated without error, so that only the first step has one."""
    generator = np.array([[0.0, 0.03, 0.0], [-0.03, 0.01, 0.02], [0.0, 0.0, -0.02]])
    middle = (np.array(SHAPE) - 1) / 2
    velocity = (generator @ (voxels() - middle).T).reshape(3, *SHAPE).astype(np.float32)
    found = exponential(in_voxels(velocity))
    inner = voxels()[np.abs(voxels() - middle).max(axis=1) < 7]
    for sign, transform in ((1, found), (-1, found.inverse())):
        expected = middle + (inner - middle) @ expm(sign * generator).T
        np.testing.assert_allclose(transform.map_points(inner), expected, atol=2e-3)


@pytest.mark.parametrize(("shape", "sigma", "most"), [((60, 58, 56), 10.0, 0.02), (SHAPE, 4.0, 0.15)])
def test_the_negative_field_gives_the_inverse(shape, sigma, most):
    """But for linear interpolation, which cuts corners where a field bends within a few voxels."""
    velocity = in_voxels(fading_field(shape, 5, 3.0, sigma))
    there, back = exponential(velocity), exponential(in_voxels(-velocity.field))
    np.testing.assert_array_equal(there.inverse_field, back.field)
    for one, other in ((there, back), (back, there)):
        missed = np.linalg.norm(one.map_points(other.map_points(voxels(shape))) - voxels(shape), axis=1)
        assert missed.max() < most
        assert missed.mean() < most / 10


def test_two_half_maps_make_the_whole(backend):
    velocity = fading_field(SHAPE, 6, 3.0, sigma=4.0)
    half = half_maps_of(backend.upload(velocity), backend)[1]
    whole = backend.download(backend.compose(half, half, out=backend.empty(half.shape)))
    np.testing.assert_allclose(whole, exponential(in_voxels(velocity), backend="numpy").field, atol=1e-5)


@pytest.mark.parametrize("squarings", [0, 3, 4])
def test_any_number_of_squarings_ends_in_the_output(backend, squarings):
    velocity = backend.upload(np.full((3, 4, 5, 6), 2.0, np.float32))
    out, scratch = backend.empty((2, 3, 4, 5, 6)), backend.empty((2, 3, 4, 5, 6))
    weights = half_weights(backend, squarings)
    assert exponentiate(velocity, weights, backend, squarings=squarings, out=out, scratch=scratch) is out
    back, there = backend.download(out)
    np.testing.assert_array_equal(back, np.full_like(back, -1))
    np.testing.assert_array_equal(there, np.full_like(there, 1))


def test_long_fields_begin_with_steps_that_are_short_enough():
    """A turn by 90 degrees, at whose rim a step of 2^-7 of the time would be longer than a voxel."""
    shape, turn = (301, 301, 1), np.pi / 2
    x, y, _ = np.indices(shape) - np.array([150, 150, 0]).reshape(3, 1, 1, 1)
    velocity = np.stack([-turn * y, turn * x, 0 * x]).astype(np.float32)
    assert np.hypot(velocity[0], velocity[1]).max() / 2 ** (SQUARINGS + 1) > 2
    point = exponential(in_voxels(velocity)).map_points([[150.0 + 60, 150.0, 0.0]])
    np.testing.assert_allclose(point, [[150.0, 150.0 + 60, 0.0]], atol=0.3)


def test_world_vectors_flow_as_those_in_voxels_do():
    grid, field = oblique_grid(SHAPE), fading_field(SHAPE, 7, 2.0, sigma=4.0)
    found = exponential(Displacement(to_world(field, grid), grid)).field
    np.testing.assert_allclose(found, to_world(exponential(in_voxels(field)).field, grid), atol=1e-4)


def test_fields_that_are_not_finite_are_refused():
    field = np.zeros((3, 4, 4, 4), np.float32)
    field[0, 1, 2, 3] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        exponential(in_voxels(field))
