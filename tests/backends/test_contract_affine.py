"""`affine_moments`, `mutual_information` and `sample_at` against slow loops and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import affine_oracles
from backends.rounding import assert_rounded
from cuda_on_cpu.emulated import EmulatedRuntime, available
from synthetic import ellipsoid, general_matrix, smooth_volume
from warpline.backends import cuda_backend, cuda_points

SHAPES = [(9, 7, 5), (4, 11, 6), (9, 7, 1), (1, 6, 5), (2, 2, 2)]
BINS = 16
NUDGE = 1e-5


def points_around(shape, seed=0, count=400):
    """Random points of which some fall outside, every corner of `shape`, and lattice points: (N, 3)."""
    rng = np.random.default_rng(seed)
    size = np.array(shape)
    anywhere = rng.uniform(-2, size + 1, (count, 3))
    lattice = rng.integers(0, size, (count // 4, 3))
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape]), axis=-1).reshape(-1, 3)
    return np.concatenate([anywhere, lattice, corners]).astype(np.float32)


def values_at(points, seed=0):
    return np.random.default_rng(seed).uniform(2, BINS - 3, len(points)).astype(np.float32)


def binned_volume(shape, seed=0):
    """A volume in units of bins."""
    return (2 + (BINS - 5) * smooth_volume(shape, seed, sigma=0.6)).astype(np.float32)


def on_device(backend, *arrays):
    return [backend.upload(array) for array in arrays]


def mask_of(backend, shape, masked):
    mask = ellipsoid(shape, 0.45).astype(np.uint8) if masked else None
    return mask, None if mask is None else backend.upload(mask)


def all_derivatives(function, matrix):
    """Central differences of `function` (numbers of any shape) by the upper entries of `matrix`: (..., 3, 4)."""
    steps = [[_central_difference(function, matrix, row, column) for column in range(4)] for row in range(3)]
    return np.moveaxis(np.array(steps), (0, 1), (-2, -1))


def _central_difference(function, matrix, row, column):
    nudge = np.zeros_like(matrix)
    nudge[row, column] = NUDGE
    return (function(matrix + nudge) - function(matrix - nudge)) / (2 * NUDGE)


def points_off_the_kinks(shape, matrix, seed):
    """Points whose images lie well inside a cell, so that the linear interpolant has a derivative there."""
    points = np.random.default_rng(seed).uniform(0.5, np.array(shape) - 1.5, (200, 3)).astype(np.float32)
    landed = points @ matrix[:3, :3].T + matrix[:3, 3]
    fraction = landed - np.floor(landed)
    inner = ((fraction > 0.01) & (fraction < 0.99) & (landed > 0) & (landed < np.array(shape) - 1)).all(axis=1)
    return points[inner][:40]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_affine_moments(backend, shape, masked):
    points, volume, matrix = points_around(shape, 1), smooth_volume(shape, 2, sigma=0.5), general_matrix(shape, 3)
    values = values_at(points, 4)
    mask, uploaded = mask_of(backend, shape, masked)
    moments, slopes = backend.affine_moments(*on_device(backend, points, values, volume), matrix, mask=uploaded)
    expected = affine_oracles.affine_moments(points, values, volume, matrix, mask=mask)
    assert moments.dtype == slopes.dtype == np.float64
    assert moments[0] == expected[0][0]
    assert 0 < moments[0] < len(points)
    assert_rounded(moments, expected[0])
    assert_rounded(slopes, expected[1], scale=moments[0] * BINS)


def test_affine_moments_follow_the_cell_rule_on_grid_points(backend):
    shape = (6, 5, 4)
    points = np.stack(np.indices(shape), axis=-1).reshape(-1, 3).astype(np.float32)
    volume, values = smooth_volume(shape, 5, sigma=0.5), values_at(points, 6)
    moments, slopes = backend.affine_moments(*on_device(backend, points, values, volume), np.eye(4))
    expected = affine_oracles.affine_moments(points, values, volume, np.eye(4))
    assert moments[0] == volume.size
    assert_rounded(moments, expected[0])
    assert_rounded(slopes, expected[1], scale=volume.size)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_affine_border_rule_and_clamped_slopes(backend, axis):
    volume = smooth_volume((5, 5, 5), 7, sigma=0.5)
    for x in (-0.51, -0.5, -0.2, 0.0, 3.7, 4.0, 4.3, 4.49, 4.5, np.nan, np.inf):
        points = np.full((1, 3), 2.25, dtype=np.float32)
        points[0, axis] = x
        values = np.ones(1, dtype=np.float32)
        moments, slopes = backend.affine_moments(*on_device(backend, points, values, volume), np.eye(4))
        expected = affine_oracles.affine_moments(points, values, volume, np.eye(4))
        assert moments[0] == (-0.5 <= x < 4.5)
        assert_rounded(moments, expected[0], scale=1)
        assert_rounded(slopes, expected[1], scale=5)
        assert slopes[0, axis].any() == (0 <= x <= 4)


def test_masks_are_read_at_the_nearest_voxel_ties_up(backend):
    volume, mask = smooth_volume((5, 5, 5), 8), np.zeros((5, 5, 5), dtype=np.uint8)
    mask[2] = 1
    points = np.array([[x, 2, 2] for x in (1.4375, 1.5, 2.0, 2.4375, 2.5)], dtype=np.float32)
    values = np.array([1, 10, 100, 1000, 10000], dtype=np.float32)
    arrays = on_device(backend, points, values, volume)
    moments, _ = backend.affine_moments(*arrays, np.eye(4), mask=backend.upload(mask))
    assert moments[0] == 3
    assert moments[1] == 1110


def test_no_point_in_view_gives_zeros(backend):
    points, values = np.full((300, 3), 50, dtype=np.float32), np.full(300, 4, dtype=np.float32)
    arrays = on_device(backend, points, values, binned_volume((5, 5, 5)))
    moments, slopes = backend.affine_moments(*arrays, np.eye(4))
    assert not moments.any()
    assert not slopes.any()
    assert not backend.mutual_information(*arrays, np.eye(4)[None], BINS).any()


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_affine_slopes_are_derivatives_of_the_moments(backend, seed):
    shape, matrix = (7, 6, 8), general_matrix((7, 6, 8), seed, spread=0.05)
    volume, points = smooth_volume(shape, seed, sigma=0.7), points_off_the_kinks(shape, matrix, seed)
    values = values_at(points, seed)
    _, slopes = backend.affine_moments(*on_device(backend, points, values, volume), matrix)

    assert len(points) > 10
    truth = all_derivatives(lambda moved: affine_oracles.affine_moments(points, values, volume, moved)[0], matrix)
    by_m, by_mm, by_fm = truth[2], truth[4], truth[5]
    assert_rounded(slopes, [by_m, by_fm, by_mm / 2], scale=len(points) * BINS)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_mutual_information(backend, shape, masked):
    points, volume = points_around(shape, 9), binned_volume(shape, 10)
    matrices = np.stack([general_matrix(shape, 11), general_matrix(shape, 23), np.eye(4)])
    values = values_at(points, 12)
    mask, uploaded = mask_of(backend, shape, masked)
    result = backend.mutual_information(*on_device(backend, points, values, volume), matrices, BINS, mask=uploaded)
    assert result.shape == (3, 14)
    assert result.dtype == np.float64
    for matrix, found in zip(matrices, result, strict=True):
        expected = affine_oracles.mutual_information(points, values, volume, matrix, BINS, mask=mask)
        assert_rounded(found[0], expected[0], scale=1)
        assert_rounded(found[1], expected[1])
        assert 0 < expected[1] < len(points)
        # a slope adds up products of weights below log(n) / n, slopes and coordinates over n points
        assert_rounded(found[2:], expected[2:], scale=BINS * max(shape))


@pytest.mark.parametrize("bins", [8, 64, 65, 100])
def test_mutual_information_with_any_number_of_bins(backend, bins):
    shape = (9, 7, 5)
    points, volume = points_around(shape, 9), (2 + (bins - 5) * smooth_volume(shape, 10)).astype(np.float32)
    values = np.random.default_rng(1).uniform(2, bins - 3, len(points)).astype(np.float32)
    arrays, matrix = on_device(backend, points, values, volume), general_matrix(shape, 11)
    found = backend.mutual_information(*arrays, matrix[None], bins)[0]
    expected = affine_oracles.mutual_information(points, values, volume, matrix, bins)
    assert_rounded(found[:2], expected[:2])
    assert_rounded(found[2:], expected[2:], scale=bins * max(shape))


@pytest.mark.parametrize("bins", [BINS, 70])
def test_matrices_do_not_depend_on_their_company(backend, bins):
    shape, many = (9, 7, 5), 40
    points, volume = points_around(shape, 24, count=2000), binned_volume(shape, 25)
    arrays = on_device(backend, points, values_at(points, 26), volume)
    matrices = np.stack([general_matrix(shape, seed) for seed in range(many)])
    together = backend.mutual_information(*arrays, matrices, bins)
    for matrix, found in zip(matrices, together, strict=True):
        assert_rounded(found, backend.mutual_information(*arrays, matrix[None], bins)[0], scale=BINS * max(shape))
    np.testing.assert_array_equal(backend.mutual_information(*arrays, matrices, bins), together)
    values = backend.mutual_information(*arrays, matrices, bins, slopes=False)
    np.testing.assert_array_equal(values, together[:, :2])


@pytest.mark.parametrize("slopes", [False, True])
def test_no_matrix_gives_no_information(backend, slopes):
    arrays = on_device(backend, points_around((5, 5, 5)), values_at(points_around((5, 5, 5))), binned_volume((5, 5, 5)))
    found = backend.mutual_information(*arrays, np.empty((0, 4, 4)), BINS, slopes=slopes)
    assert found.shape == (0, 14 if slopes else 2)


@pytest.mark.skipif(not available(), reason="no C++ compiler; CXX names another one")
def test_many_joint_histograms_take_bounded_memory(monkeypatch):
    shape = (9, 7, 5)
    runtime = EmulatedRuntime()
    emulated = cuda_backend.CudaBackend(runtime)
    points = points_around(shape, 27, count=500)
    arrays = on_device(emulated, points, values_at(points, 28), binned_volume(shape, 29))
    matrices = np.stack([general_matrix(shape, seed) for seed in range(7)])
    emulated.mutual_information(*arrays, matrices[:1], BINS)
    runtime.launches.clear()
    whole = emulated.mutual_information(*arrays, matrices, BINS)
    assert runtime.launches == ["joint_histogram", "histogram_derivative"]
    monkeypatch.setattr(cuda_points, "HISTOGRAM_BYTES", 3 * 16 * BINS**2 + 1)
    assert_rounded(emulated.mutual_information(*arrays, matrices, BINS), whole, scale=BINS)
    assert runtime.launches == ["joint_histogram", "histogram_derivative"] * 4  # three, three and one


def test_mutual_information_at_whole_and_half_bins(backend):
    values = np.array([2.0, 2.5, 3.49, BINS - 3.0], dtype=np.float32)
    volume = np.array([2.0, 3.0, 3.5, BINS - 3.0], dtype=np.float32).reshape(4, 1, 1)
    points = np.array([[i, 0, 0] for i in range(4)], dtype=np.float32)
    found = backend.mutual_information(*on_device(backend, points, values, volume), np.eye(4)[None], BINS)[0]
    assert_rounded(found, affine_oracles.mutual_information(points, values, volume, np.eye(4), BINS), scale=BINS)


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_its_slope_is_the_derivative_of_mutual_information(backend, seed):
    shape, matrix = (7, 6, 8), general_matrix((7, 6, 8), seed, spread=0.05)
    volume, points = binned_volume(shape, seed), points_off_the_kinks(shape, matrix, seed)
    values = values_at(points, seed)
    found = backend.mutual_information(*on_device(backend, points, values, volume), matrix[None], BINS)[0]

    def value(moved):
        return affine_oracles.mutual_information(points, values, volume, moved, BINS)[0]

    truth = all_derivatives(value, matrix)
    np.testing.assert_allclose(found[2:].reshape(3, 4), truth, atol=1e-4 * max(1, np.abs(truth).max()))


@pytest.mark.parametrize("shape", SHAPES)
def test_sample_at(backend, shape):
    points, volume = points_around(shape, 13), smooth_volume(shape, 14, sigma=0.5)
    found = backend.download(backend.sample_at(*on_device(backend, volume, points)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, affine_oracles.sample_at(volume, points), rtol=2e-7, atol=1e-12)
    assert (found == 0).any()
