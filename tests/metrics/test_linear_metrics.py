"""Linear metrics: values in known cases, derivatives against finite differences, masks, overlap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from synthetic import general_matrix, smooth_volume
from warpline.metrics import LINEAR_METRICS
from warpline.metrics.local_correlation import LocalCorrelation, local_correlation, normalise_locally

SHAPE = (24, 20, 18)
METRICS = {**LINEAR_METRICS, "local_correlation": LocalCorrelation}


def scene(count=3000, shape=SHAPE, seed=0):
    """A moving volume, points away from its faces, and the values of a distorted, noisy copy of it there."""
    volume = smooth_volume(shape, seed, sigma=2.5)
    size = np.array(shape)
    points = np.random.default_rng(seed).uniform(0.15, 0.85, (count, 3)) * (size - 1)
    values = map_coordinates(volume, points.T, order=1) ** 2 + 0.02 * np.random.default_rng(1).normal(size=count)
    return points.astype(np.float32), values.astype(np.float32), volume


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("masked", [False, True])
def test_derivative_matches_finite_differences(name, masked, backend):
    points, values, volume = scene()
    mask = (np.indices(SHAPE)[0] < 15).astype(np.uint8) if masked else None
    metric = METRICS[name](points, values, volume, backend=backend, mask=mask)
    matrix = general_matrix(SHAPE, seed=3, spread=0.03)
    _, _, slope = metric.value_and_derivative(matrix)
    steps = np.array([2e-5, 2e-5, 2e-5, 2e-4])  # the same motion in voxels for every entry
    numeric = np.empty((3, 4))
    for row, column in np.ndindex(3, 4):
        change = np.zeros((4, 4))
        change[row, column] = steps[column]
        rise = metric.value(matrix + change)[0] - metric.value(matrix - change)[0]
        numeric[row, column] = rise / (2 * steps[column])
    np.testing.assert_allclose(slope, numeric, atol=0.02 * np.abs(numeric).max(axis=0).min())


@pytest.mark.parametrize("name", LINEAR_METRICS)
def test_alignment_is_better_than_any_shift(name, backend):
    points, values, volume = scene()
    metric = LINEAR_METRICS[name](points, values, volume, backend=backend)
    aligned, share = metric.value(np.eye(4))
    assert share == 1.0
    for axis in range(3):
        for shift in (-1.0, 1.0):
            moved = np.eye(4)
            moved[axis, 3] = shift
            assert metric.value(moved)[0] > aligned


def test_correlation_agrees_with_numpy(backend):
    points, values, volume = scene()
    metric = LINEAR_METRICS["correlation"](points, values, volume, backend=backend)
    expected = np.corrcoef(values, map_coordinates(volume, points.T, order=1, output=np.float64))[0, 1]
    assert metric.value(np.eye(4))[0] == pytest.approx(-(expected**2), rel=1e-5)


@pytest.mark.parametrize("name", LINEAR_METRICS)
def test_inverted_contrast_counts_as_much(name, backend):
    points, values, volume = scene()
    plain = LINEAR_METRICS[name](points, values, volume, backend=backend).value(np.eye(4))[0]
    inverted = LINEAR_METRICS[name](points, values, -volume, backend=backend).value(np.eye(4))[0]
    assert inverted == pytest.approx(plain, rel=0.02)


def test_mutual_information_of_independent_values_is_small_and_of_equal_ones_is_an_entropy(backend):
    points, _, volume = scene(20000)
    metric = LINEAR_METRICS["mutual_information"]
    equal = map_coordinates(volume, points.T, order=1).astype(np.float32)
    shuffled = np.random.default_rng(5).permutation(equal)
    assert -0.05 < metric(points, shuffled, volume, backend=backend).value(np.eye(4))[0] < 0
    counts, _ = np.histogram(equal, bins=28)
    entropy = -sum(p * np.log(p) for p in counts[counts > 0] / counts.sum())
    reached = metric(points, equal, volume, backend=backend).value(np.eye(4))[0]
    assert 0.4 * entropy < -reached < entropy  # the Parzen window, four bins wide, blurs the rest away


@pytest.mark.parametrize("name", METRICS)
def test_without_overlap_the_worst_value_and_no_slope(name, backend):
    points, values, volume = scene()
    metric = METRICS[name](points, values, volume, backend=backend)
    away = np.eye(4)
    away[:3, 3] = 100
    value, share, slope = metric.value_and_derivative(away)
    assert value == metric.worst
    assert share == 0
    np.testing.assert_array_equal(slope, 0)


@pytest.mark.parametrize("name", METRICS)
def test_points_beyond_the_moving_mask_are_left_out(name, backend):
    points, values, volume = scene()
    mask = np.zeros(SHAPE, np.uint8)
    mask[:12] = 1
    _, share = METRICS[name](points, values, volume, backend=backend, mask=mask).value(np.eye(4))
    assert share == pytest.approx(np.mean(np.floor(points[:, 0] + 0.5) < 12))


@pytest.mark.parametrize("name", METRICS)
def test_flat_images_give_finite_results(name, backend):
    points, values, volume = scene()
    for f, m in ((values, np.zeros_like(volume)), (np.zeros_like(values), volume)):
        value, _, slope = METRICS[name](points, f, m, backend=backend).value_and_derivative(np.eye(4))
        assert value == pytest.approx(0, abs=1e-9)
        np.testing.assert_allclose(slope, 0, atol=1e-9)


def test_locally_normalised_volumes_ignore_local_brightness_and_contrast(backend):
    shape, sigma = (30, 28, 26), (2.0, 2.0, 2.0)
    volume = smooth_volume(shape, 4, sigma=1.0)
    bias = 1 + np.indices(shape)[0] / 60
    plain = normalise_locally(volume, sigma, float(volume.std()), backend=backend)
    brighter = (3 * volume * bias + 7).astype(np.float32)
    changed = normalise_locally(brighter, sigma, float(brighter.std()), backend=backend)
    inner = (slice(4, -4),) * 3
    agreement = local_correlation(plain, changed, sigma, backend)[inner]
    itself = local_correlation(plain, plain, sigma, backend)[inner]
    assert np.abs(agreement - itself).mean() < 0.05 * itself.mean()
