"""`compose`, `invert`, `jacobian`, `statistics` and `extent` of every backend against slow loops, and their algebra."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import field_oracles
from backends.rounding import assert_rounded
from synthetic import ellipsoid, fading_field, general_matrix, smooth_field, smooth_volume, wide_field

SHAPES = [(9, 7, 5), (4, 11, 6), (9, 7, 1), (1, 6, 5), (2, 3, 2), (3, 18, 35)]
"""The last one takes several blocks of a GPU kernel along j and k."""


def composed(backend, outer, inner, **options):
    """Result of `Backend.compose` on the host."""
    out = backend.empty(inner.shape)
    assert backend.compose(backend.upload(outer), backend.upload(inner), out=out, **options) is out
    return np.array(backend.download(out))


def inverted(backend, field, start=None, *, tolerance=1e-3, iterations=60):
    """Result and residual of `Backend.invert` on the host."""
    start, out = np.zeros_like(field) if start is None else start, backend.empty(field.shape)
    options = {"start": backend.upload(start), "tolerance": tolerance, "iterations": iterations, "out": out}
    residual = backend.empty((1,))
    assert backend.invert(backend.upload(field), **options, out_residual=residual) is out
    return np.array(backend.download(out)), backend.download(residual).item()


def stretching_field():
    """A field that expands its middle more than twofold, where undamped fixed-point steps diverge."""
    x = np.arange(33) - 16.0
    field = np.zeros((3, 33, 5, 5), dtype=np.float32)
    field[0] = (1.3 * x * np.exp(-((x / 7) ** 2)))[:, None, None]
    return field


@pytest.mark.parametrize("step", [1.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_compose(backend, shape, step):
    outer, inner = smooth_field(shape, 1, largest=2), wide_field(shape, 2)
    assert_rounded(composed(backend, outer, inner, step=step), field_oracles.compose(outer, inner, step), scale=8)


@pytest.mark.parametrize("norm", [2.5, 0.01, 0.0])
def test_compose_divides_the_step_by_the_norm(backend, norm):
    outer, inner = smooth_field((9, 7, 5), 3), smooth_field((9, 7, 5), 4, largest=norm)
    given_norm = backend.upload(np.array([norm], dtype=np.float32))
    result = composed(backend, outer, inner, norm=given_norm, step=0.25)
    assert_rounded(result, field_oracles.compose(outer, inner, 0.25 / max(norm, 1e-12)), scale=2)


@pytest.mark.parametrize("norm", [0.01, 0.5, 3.0])
def test_compose_divides_by_no_less_than_the_least_norm(backend, norm):
    outer, inner = smooth_field((9, 7, 5), 5), smooth_field((9, 7, 5), 6, largest=norm)
    given_norm = backend.upload(np.array([norm], dtype=np.float32))
    result = composed(backend, outer, inner, norm=given_norm, least_norm=0.5, step=0.25)
    assert_rounded(result, field_oracles.compose(outer, inner, 0.25 / max(norm, 0.5)), scale=2)


def test_compose_keeps_what_is_not_finite_where_it_is(backend):
    outer, inner = smooth_field((6, 5, 4), 5), smooth_field((6, 5, 4), 6)
    expected = composed(backend, outer, inner)
    for bad in (np.nan, np.inf, -np.inf):
        dirty = inner.copy()
        dirty[1, 3, 2, 1] = bad
        result = composed(backend, outer, dirty)
        assert not np.isfinite(result[1, 3, 2, 1])
        result[:, 3, 2, 1] = expected[:, 3, 2, 1]
        assert_rounded(result, expected, scale=2)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_compose_with_zero_changes_nothing(backend, seed):
    field = smooth_field((6, 5, 4), seed, largest=2)
    zero = np.zeros_like(field)
    np.testing.assert_array_equal(composed(backend, field, zero), field)
    np.testing.assert_array_equal(composed(backend, zero, field), field)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), shift=st.tuples(*[st.integers(-3, 3)] * 3))
def test_compose_with_a_shift_looks_up_shifted_voxels(backend, seed, shift):
    field = smooth_field((6, 5, 4), seed)
    moved = np.broadcast_to(np.array(shift, dtype=np.float32).reshape(3, 1, 1, 1), field.shape)
    where = np.clip(np.indices((6, 5, 4)) + moved, 0, np.reshape((5, 4, 3), (3, 1, 1, 1))).astype(int)
    assert_rounded(composed(backend, field, moved), moved + field[:, *where], scale=4)


@pytest.mark.parametrize("shape", [(12, 11, 10), (13, 12, 1)])
def test_invert_solves_to_the_tolerance_it_reports(backend, shape):
    field = smooth_field(shape, 7, largest=1.2)
    inverse, worst = inverted(backend, field)
    residual = field_oracles.inverse_residual(field, inverse).max()
    assert residual <= 1.01e-3
    assert abs(worst - residual) < 1e-5
    assert inverse.dtype == np.float32


def test_invert_converges_where_the_map_expands(backend):
    field = stretching_field()
    assert field_oracles.jacobian(field).max() > 2.2
    inverse, worst = inverted(backend, field, tolerance=1e-3, iterations=80)
    assert worst <= 1e-3
    assert field_oracles.inverse_residual(field, inverse).max() <= 1.01e-3


@pytest.mark.parametrize("iterations", [0, 1, 3, 12])
def test_invert_reports_the_residual_of_what_it_returns(backend, iterations):
    field = smooth_field((9, 8, 7), 8, largest=2, sigma=2)
    inverse, worst = inverted(backend, field, tolerance=1e-6, iterations=iterations)
    residual = field_oracles.inverse_residual(field, inverse).max()
    assert abs(worst - residual) <= 1e-5 + 1e-5 * residual
    if iterations == 0:
        assert not inverse.any()


@pytest.mark.parametrize("iterations", [1, 8, 9, 12])
def test_invert_takes_full_then_damped_steps_by_voxel(backend, iterations):
    field, start = stretching_field(), smooth_field((33, 5, 5), 9, largest=0.3)
    result, _ = inverted(backend, field, start, tolerance=0.02, iterations=iterations)
    expected = field_oracles.invert(field, start, 0.02, iterations)
    assert_rounded(result, expected, scale=20, condition=1.3**iterations)


def test_invert_leaves_voxels_that_are_solved(backend):
    field = smooth_field((9, 8, 7), 9)
    solved, _ = inverted(backend, field, tolerance=1e-3)
    again, _ = inverted(backend, field, solved, tolerance=1e-2)
    np.testing.assert_array_equal(again, solved)


def test_invert_from_a_good_start_needs_fewer_steps(backend):
    field = smooth_field((9, 8, 7), 10, largest=1.2)
    solved, _ = inverted(backend, field, tolerance=1e-5)
    nudged = solved + np.float32(1e-3)
    _, cold = inverted(backend, field, tolerance=1e-6, iterations=2)
    _, warm = inverted(backend, field, nudged, tolerance=1e-6, iterations=2)
    assert warm < cold / 10


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), largest=st.floats(0.1, 1.5))
def test_a_field_and_its_inverse_cancel_both_ways(backend, seed, largest):
    field = fading_field((12, 11, 10), seed, largest, sigma=4.0)
    inverse, worst = inverted(backend, field, tolerance=1e-4, iterations=100)
    assert worst <= 1e-4
    assert np.abs(composed(backend, field, inverse)).max() <= 1.1e-4
    # linear interpolation between the voxels of the inverse errs by its second derivatives / 8, summed over axes
    bend = sum(np.abs(np.diff(inverse, n=2, axis=axis)).max() for axis in (1, 2, 3)) / 8
    assert np.abs(composed(backend, inverse, field)).max() <= 2 * bend + 1e-3


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_a_composition_is_inverted_by_composed_inverses(backend, seed):
    first, second = (fading_field((12, 11, 10), seed + i, 0.6, sigma=4.0) for i in (0, 1))
    both = composed(backend, second, first)
    inverse, _ = inverted(backend, both, tolerance=1e-4)
    parts = [inverted(backend, field, tolerance=1e-4)[0] for field in (first, second)]
    assert np.abs(composed(backend, parts[0], parts[1]) - inverse).max() < 0.1


@pytest.mark.parametrize("shape", SHAPES)
def test_jacobian(backend, shape):
    field = smooth_field(shape, 11, largest=2, sigma=1)
    result = backend.download(backend.jacobian(backend.upload(field)))
    assert_rounded(result, field_oracles.jacobian(field), scale=4)


def test_jacobian_of_an_affine_field_is_its_determinant(backend):
    matrix = np.eye(3) + np.random.default_rng(12).uniform(-0.3, 0.3, (3, 3))
    field = np.tensordot(matrix - np.eye(3), np.indices((6, 5, 7)), 1).astype(np.float32)
    result = backend.download(backend.jacobian(backend.upload(field)))
    assert_rounded(result, np.full((6, 5, 7), np.linalg.det(matrix)), scale=4)


def test_jacobian_sees_folds(backend):
    field = np.zeros((3, 9, 5, 5), dtype=np.float32)
    field[0] = (-1.5 * np.arange(9))[:, None, None]
    np.testing.assert_array_equal(backend.download(backend.jacobian(backend.upload(field))), np.full((9, 5, 5), -0.5))


def test_jacobian_of_no_motion_is_one_and_fills_out(backend):
    out = backend.empty((4, 5, 6))
    assert backend.jacobian(backend.zeros((3, 4, 5, 6)), out=out) is out
    np.testing.assert_array_equal(backend.download(out), np.ones((4, 5, 6), dtype=np.float32))


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    share=st.floats(0, 1),
    masked=st.booleans(),
    repeated=st.booleans(),
    components=st.sampled_from([1, 3]),
)
def test_statistics(backend, seed, share, masked, repeated, components):
    array = wide_field((7, 6, 5), seed)
    array = array[0] if components == 1 else array
    array = np.round(array) if repeated else array
    mask = ellipsoid((7, 6, 5)).astype(np.uint8) if masked else None
    given_mask = None if mask is None else backend.upload(mask)
    found = backend.statistics(backend.upload(np.ascontiguousarray(array)), share, mask=given_mask)
    count, mean, quantile, largest = field_oracles.statistics(array, share, mask)
    assert found[0] == count
    assert_rounded(found[1:], [mean, quantile, largest], scale=largest)
    if components == 1:
        assert found[2] == quantile


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 6, 7), (40, 50, 30), (4321,)])
@pytest.mark.parametrize("masked", [False, True])
def test_sums(backend, shape, masked):
    draw = np.random.default_rng(9)
    values, mask = draw.normal(3, 2, shape).astype(np.float32), draw.integers(0, 2, shape).astype(bool)
    found = backend.sums(backend.upload(values), mask=backend.upload(mask) if masked else None)
    counted = [float(v) for v, inside in zip(values.ravel(), mask.ravel(), strict=True) if inside or not masked]
    assert found[0] == len(counted)
    np.testing.assert_allclose(found[1:], [math.fsum(counted), math.fsum(v * v for v in counted)], rtol=1e-13)


def test_sums_of_nothing_are_zeros(backend):
    values, nowhere = backend.zeros((4, 3, 2)) + 1, backend.zeros((4, 3, 2), np.uint8)
    np.testing.assert_array_equal(backend.sums(values, mask=nowhere), np.zeros(3))


def test_statistics_of_nothing_are_zeros(backend):
    field, nowhere = backend.upload(wide_field((4, 3, 2), 1)), backend.zeros((4, 3, 2), np.uint8)
    np.testing.assert_array_equal(backend.statistics(field, 0.99, mask=nowhere), np.zeros(4))
    np.testing.assert_array_equal(backend.statistics(backend.zeros((4, 3, 2)), 0.99)[1:], np.zeros(3))


def test_statistics_of_many_voxels_are_those_of_numpy(backend):
    volume = np.random.default_rng(2).normal(size=(40, 50, 60)).astype(np.float32)
    found = backend.statistics(backend.upload(volume), 0.995)
    sizes = np.sort(np.abs(volume), axis=None)
    assert found[0] == volume.size
    assert found[1] == pytest.approx(sizes.mean(dtype=np.float64), rel=1e-6)
    assert found[2] == sizes[int(0.995 * volume.size)]
    assert found[3] == sizes[-1]


@pytest.mark.parametrize("shape", [*SHAPES, (3, 70, 40)])
@pytest.mark.parametrize("seed", range(3))
def test_extent(backend, shape, seed):
    volume = np.where(np.random.default_rng(seed).uniform(size=shape) < 0.1, -1, 0).astype(np.float32)
    matrix = general_matrix(shape, seed)
    found = backend.extent(backend.upload(volume), matrix)
    expected = field_oracles.extent(volume, matrix)
    if volume.any():
        assert_rounded(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)


def test_the_extent_of_nothing_is_infinite(backend):
    np.testing.assert_array_equal(backend.extent(backend.zeros((4, 3, 2)), np.eye(4)), [[np.inf] * 3, [-np.inf] * 3])


def test_measures_stay_on_the_backend_where_they_are_asked_to(backend):
    volume, mask = smooth_volume((5, 6, 7), 1), ellipsoid((5, 6, 7)).astype(np.uint8)
    values, inside, matrix = backend.upload(volume), backend.upload(mask), general_matrix((5, 6, 7), 2)
    out = backend.zeros((13,), np.float64)
    backend.statistics(values, 0.9, mask=inside, out=out[:4])
    backend.sums(values, mask=inside, out=out[4:7])
    backend.extent(values, matrix, out=out[7:].reshape(2, 3))
    host = backend.statistics(values, 0.9, mask=inside), backend.sums(values, mask=inside)
    expected = np.concatenate([*host, backend.extent(values, matrix).ravel()])
    np.testing.assert_array_equal(backend.download(out), expected)
