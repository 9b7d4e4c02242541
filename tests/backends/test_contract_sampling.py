"""`sample` and `sample_field` of every backend against slow loops, border by border and dtype by dtype."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles
from backends.rounding import assert_rounded
from synthetic import general_matrix, label_map, pair_with_known_map, smooth_field, smooth_volume, wide_field

SHAPES = [(9, 7, 5), (4, 11, 6), (9, 7, 1), (1, 6, 5), (2, 2, 2)]
ORDERS = [0, 1, 3]
N = 5
FINITE = [-3.0, -0.51, -0.5, -0.25, 0.0, 0.3, 1.5, 2.5, 3.9, 4.0, 4.25, 4.49, 4.5, 4.51, 9.0]
INTEGERS = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64]


def sampled(backend, volume, matrix=None, *, field=None, **options):
    """Result of `Backend.sample` on the host."""
    field = None if field is None else backend.upload(field)
    return backend.download(backend.sample(backend.upload(volume), matrix, field=field, **options))


def shift_along(axis, distance):
    matrix = np.eye(4)
    matrix[axis, 3] = distance
    return matrix


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_sample_through_a_field(backend, shape, order):
    volume, field = smooth_volume(shape, 1, sigma=0.5), wide_field(shape, 2)
    expected = oracles.sample(volume, field=field, order=order, outside=0.25)
    assert_rounded(sampled(backend, volume, field=field, order=order, outside=0.25), expected, scale=1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_sample_through_a_matrix_onto_another_anisotropic_grid(backend, shape, order):
    volume, grid = smooth_volume(shape, 3, sigma=0.5), (6, 5, 8)
    matrix = general_matrix(shape, 4) @ np.diag([1.7, 1.1, 0.45, 1.0])
    expected = oracles.sample(volume, matrix, shape=grid, order=order)
    assert_rounded(sampled(backend, volume, matrix, shape=grid, order=order), expected, scale=1)


@pytest.mark.parametrize("order", ORDERS)
def test_sample_adds_the_field_before_the_matrix(backend, order):
    volume, field = smooth_volume((9, 7, 5), 5, sigma=0.5), smooth_field((6, 8, 4), 6, largest=2)
    matrix = general_matrix((9, 7, 5), 7, spread=0.3)
    expected = oracles.sample(volume, matrix, field=field, order=order)
    assert_rounded(sampled(backend, volume, matrix, field=field, order=order), expected, scale=1)
    assert_rounded(sampled(backend, volume, matrix[:3], field=field, order=order), expected, scale=1)


@pytest.mark.parametrize("through", ["matrix", "field"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_border_rule(backend, axis, order, through):
    volume = smooth_volume((N, N, N), 8, sigma=0.5)
    for x in [*FINITE, np.nan, np.inf, -np.inf]:
        if through == "matrix":
            options = {"matrix": shift_along(axis, x), "shape": (1, 1, 1)}
        else:
            field = np.zeros((3, 1, 1, 1), dtype=np.float32)
            field[axis] = x
            options = {"field": field}
        expected = oracles.sample(volume, order=order, outside=-2.0, **options)
        assert_rounded(sampled(backend, volume, order=order, outside=-2.0, **options), expected, scale=2)
        assert (expected == -2.0) == (not -0.5 <= x < N - 0.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ties_of_nearest_neighbour_go_up(backend, axis):
    labels = np.moveaxis(np.broadcast_to(np.arange(10, 10 + N, dtype=np.uint8)[:, None, None], (N, N, N)), 0, axis)
    up = sampled(backend, labels, shift_along(axis, 0.5), order=0, outside=99)
    down = sampled(backend, labels, shift_along(axis, -0.5), order=0, outside=99)
    assert np.moveaxis(up, axis, 0)[:, 0, 0].tolist() == [11, 12, 13, 14, 99]
    assert np.moveaxis(down, axis, 0)[:, 0, 0].tolist() == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("matrix", [None, general_matrix((9, 7, 5), 9)], ids=["field", "field and matrix"])
def test_field_values_that_are_not_finite_are_outside(backend, matrix, bad, order):
    volume, clean = smooth_volume((9, 7, 5), 10), np.zeros((3, 9, 7, 5), dtype=np.float32)
    dirty = clean.copy()
    dirty[1, 4, 3, 2] = bad
    expected = sampled(backend, volume, matrix, field=clean, order=order, outside=-1.0).copy()
    expected[4, 3, 2] = -1.0
    np.testing.assert_array_equal(sampled(backend, volume, matrix, field=dirty, order=order, outside=-1.0), expected)


@pytest.mark.parametrize("dtype", [bool, *INTEGERS, np.float32, np.float64])
def test_nearest_keeps_every_dtype_and_value(backend, dtype):
    if dtype is bool:
        ids = [False, True]
    elif np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        ids = [0, 1, limits.max, limits.max - 1, limits.min, min(limits.max, 2**24 + 1)]
    else:
        ids = [0.0, np.pi, -1e30, np.finfo(dtype).max]
    labels, field = label_map((7, 8, 9), dtype, ids), wide_field((7, 8, 9), 11, largest=3)
    expected = oracles.sample(labels, field=field, order=0, outside=1)
    result = sampled(backend, labels, field=field, order=0, outside=1)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, expected)
    assert set(np.unique(result).tolist()) >= set(np.array(ids, dtype=dtype).tolist())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_just_below_half_a_voxel_is_inside_one_voxel(backend, axis):
    shape = tuple(1 if a == axis else 4 for a in range(3))
    volume = np.arange(1, 17, dtype=np.int16).reshape(shape)
    result = sampled(backend, volume, shift_along(axis, np.nextafter(0.5, 0)), order=0)
    np.testing.assert_array_equal(result, volume)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("through", ["matrix", "field"])
def test_a_thousand_voxels_along_an_axis_lose_no_precision(backend, through, axis):
    shape = tuple(1024 if a == axis else 2 for a in range(3))
    volume = np.random.default_rng(12).uniform(size=shape).astype(np.float32)
    field = np.zeros((3, *shape), dtype=np.float32)
    field[axis] = 0.3
    options = {"field": field} if through == "field" else {"matrix": shift_along(axis, 0.3)}
    assert_rounded(sampled(backend, volume, **options), oracles.sample(volume, **options), scale=1)


@pytest.mark.parametrize("order", ORDERS)
def test_out_is_filled_and_returned_and_gives_the_shape(backend, order):
    volume, matrix = backend.upload(smooth_volume((9, 7, 5), 13)), general_matrix((9, 7, 5), 14)
    out = backend.empty((4, 6, 3))
    assert backend.sample(volume, matrix, order=order, out=out) is out
    fresh = backend.sample(volume, matrix, order=order, shape=(4, 6, 3))
    np.testing.assert_array_equal(backend.download(out), backend.download(fresh))


def test_shape_of_the_volume_is_the_default(backend):
    assert backend.sample(backend.upload(smooth_volume((9, 7, 5))), np.eye(4)).shape == (9, 7, 5)


@pytest.mark.parametrize("order", [0, 1])
def test_sampling_nowhere_else_returns_the_volume_bitwise(backend, order):
    volume = smooth_volume((9, 7, 5), 15)
    np.testing.assert_array_equal(sampled(backend, volume, np.eye(4), order=order), volume)
    still = np.zeros((3, 9, 7, 5), dtype=np.float32)
    np.testing.assert_array_equal(sampled(backend, volume, field=still, order=order), volume)


def test_cubic_spline_passes_through_every_voxel(backend):
    volume = smooth_volume((9, 7, 5), 16, sigma=0.3)
    assert_rounded(sampled(backend, volume, np.eye(4), order=3), volume, scale=1)


LONG = [(70, 3, 2), (2, 70, 33), (33, 2, 340), (3, 35, 1), (34, 1, 161), (1, 1, 48), (4, 5, 4), (3, 4, 9)]
"""Pieces of a line whose ends reach over the border, once and more than once, and those that lie inside."""


@pytest.mark.parametrize("shape", LONG)
def test_cubic_spline_interpolates_noise_along_a_long_axis(backend, shape):
    volume = np.random.default_rng(22).uniform(size=shape).astype(np.float32)
    assert_rounded(sampled(backend, volume, np.eye(4), order=3), volume, scale=1)


@pytest.mark.parametrize("shape", LONG)
def test_cubic_spline_of_noise_between_voxels_of_a_long_axis(backend, shape):
    volume, grid = np.random.default_rng(23).uniform(size=shape).astype(np.float32), (3, 4, 11)
    matrix = np.diag([*(np.array(shape) / grid), 1.0])
    matrix[:3, 3] = -0.4
    expected = oracles.sample(volume, matrix, shape=grid, order=3)
    assert_rounded(sampled(backend, volume, matrix, shape=grid, order=3), expected, scale=1)


def test_cubic_recovers_a_warp_that_is_known(backend):
    fixed, moving, field = pair_with_known_map((12, 13, 11), 17)
    assert_rounded(sampled(backend, moving, field=field, order=3), fixed, scale=1)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), slopes=st.tuples(*[st.floats(-2, 2, width=32)] * 3))
def test_linear_interpolation_is_exact_on_ramps(backend, seed, slopes):
    shape = (6, 5, 4)
    ramp = np.tensordot(slopes, np.indices(shape), 1).astype(np.float32)
    field = wide_field(shape, seed, largest=1.5)
    where = np.clip(np.indices(shape) + field, 0, np.reshape(shape, (3, 1, 1, 1)) - 1)
    result = sampled(backend, ramp, field=field, outside=np.nan)
    seen = np.isfinite(result)
    assert seen.any()
    assert_rounded(result[seen], np.tensordot(slopes, where, 1)[seen], scale=20)


@pytest.mark.parametrize("shape", SHAPES)
def test_sample_field(backend, shape):
    field, matrix = smooth_field(shape, 18), general_matrix(shape, 19, spread=0.6)
    result = backend.download(backend.sample_field(backend.upload(field), matrix, (6, 5, 7)))
    assert_rounded(result, oracles.sample_field(field, matrix, (6, 5, 7)))


def test_sample_field_continues_as_constants_beyond_its_grid(backend):
    field, matrix = smooth_field((5, 5, 5), 20), np.eye(4)
    matrix[:3, 3] = (100.0, -100.0, 2.0)
    result = backend.download(backend.sample_field(backend.upload(field), matrix, (1, 1, 1)))
    np.testing.assert_array_equal(result[:, 0, 0, 0], field[:, 4, 0, 2])


def test_sample_field_fills_out(backend):
    field, out = backend.upload(smooth_field((5, 5, 5), 21)), backend.empty((3, 5, 5, 5))
    assert backend.sample_field(field, np.eye(4), (5, 5, 5), out=out) is out
    np.testing.assert_array_equal(backend.download(out), backend.download(field))
