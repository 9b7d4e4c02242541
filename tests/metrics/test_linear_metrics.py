"""Linear metrics: values in known cases, derivatives against finite differences, masks, overlap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from synthetic import general_matrix, smooth_volume
from warpline.metrics import LINEAR_METRICS, Samples
from warpline.metrics.normalised_product import NormalisedProduct, correlation_map, normalise_locally
from warpline.metrics.samples import value_range
from warpline.recipe import Linear

SHAPE = (24, 20, 18)
METRICS = {**LINEAR_METRICS, "normalised_product": lambda samples, _: NormalisedProduct(samples)}


def metric_of(name, points, values, volume, backend, mask=None):
    arrays = [None if array is None else backend.upload(array) for array in (points, values, volume, mask)]
    return METRICS[name](Samples(*arrays[:3], backend, arrays[3]), Linear())


def at(metric, matrix):
    """(value, share, slope) at one matrix."""
    return tuple(found[0] for found in metric.values_and_derivatives(matrix[None]))


def value_of(metric, matrix):
    """(value, share) at one matrix."""
    values, shares = metric.values(matrix[None])
    return values[0], shares[0]


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
    metric = metric_of(name, points, values, volume, backend, mask)
    matrix = general_matrix(SHAPE, seed=3, spread=0.03)
    _, _, slope = at(metric, matrix)
    steps = np.array([2e-5, 2e-5, 2e-5, 2e-4])  # the same motion in voxels for every entry
    numeric = np.empty((3, 4))
    for row, column in np.ndindex(3, 4):
        change = np.zeros((4, 4))
        change[row, column] = steps[column]
        rise = value_of(metric, matrix + change)[0] - value_of(metric, matrix - change)[0]
        numeric[row, column] = rise / (2 * steps[column])
    np.testing.assert_allclose(slope, numeric, atol=0.02 * np.abs(numeric).max(axis=0).min())


@pytest.mark.parametrize("name", LINEAR_METRICS)
def test_alignment_is_better_than_any_shift(name, backend):
    points, values, volume = scene()
    metric = metric_of(name, points, values, volume, backend)
    aligned, share = value_of(metric, np.eye(4))
    assert share == pytest.approx(1.0, rel=1e-12)
    for axis in range(3):
        for shift in (-1.0, 1.0):
            moved = np.eye(4)
            moved[axis, 3] = shift
            assert value_of(metric, moved)[0] > aligned


def test_correlation_agrees_with_numpy(backend):
    points, values, volume = scene()
    metric = metric_of("correlation", points, values, volume, backend)
    expected = np.corrcoef(values, map_coordinates(volume, points.T, order=1, output=np.float64))[0, 1]
    assert value_of(metric, np.eye(4))[0] == pytest.approx(-(expected**2), rel=1e-5)


@pytest.mark.parametrize("name", LINEAR_METRICS)
def test_inverted_contrast_counts_as_much(name, backend):
    points, values, volume = scene()
    plain = value_of(metric_of(name, points, values, volume, backend), np.eye(4))[0]
    inverted = value_of(metric_of(name, points, values, -volume, backend), np.eye(4))[0]
    assert inverted == pytest.approx(plain, rel=0.02)


def test_mutual_information_of_independent_and_of_equal_values(backend):
    points, _, volume = scene(20000)
    equal = map_coordinates(volume, points.T, order=1).astype(np.float32)
    shuffled = np.random.default_rng(5).permutation(equal)
    found, reached = (
        value_of(metric_of("mutual_information", points, values, volume, backend), np.eye(4))[0]
        for values in (shuffled, equal)
    )
    assert -0.05 < found < 0
    counts, _ = np.histogram(equal, bins=28)
    entropy = -sum(p * np.log(p) for p in counts[counts > 0] / counts.sum())
    assert 0.4 * entropy < -reached < entropy  # the Parzen window, four bins wide, blurs the rest away


@pytest.mark.parametrize("name", METRICS)
def test_without_overlap_the_worst_value_and_no_slope(name, backend):
    points, values, volume = scene()
    metric = metric_of(name, points, values, volume, backend)
    away = np.eye(4)
    away[:3, 3] = 100
    value, share, slope = at(metric, away)
    assert value == metric.worst
    assert share == 0
    np.testing.assert_array_equal(slope, 0)


@pytest.mark.parametrize("name", METRICS)
def test_values_of_a_stack_are_those_of_its_members(name, backend):
    points, values, volume = scene()
    metric = metric_of(name, points, values, volume, backend)
    matrices = np.stack([general_matrix(SHAPE, seed, spread=0.1) for seed in range(5)])
    matrices[2, :3, 3] = 100  # no overlap
    found, shares = metric.values(matrices)
    assert found.shape == shares.shape == (5,)
    assert shares[2] == 0 < shares[0]
    for matrix, value, share in zip(matrices, found, shares, strict=True):
        assert at(metric, matrix)[:2] == pytest.approx((value, share), rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_points_beyond_the_moving_mask_are_left_out(name, backend):
    points, values, volume = scene()
    mask = np.zeros(SHAPE, np.uint8)
    mask[:12] = 1
    _, share = value_of(metric_of(name, points, values, volume, backend, mask), np.eye(4))
    assert share == pytest.approx(np.mean(np.floor(points[:, 0] + 0.5) < 12))


@pytest.mark.parametrize("name", METRICS)
def test_flat_images_give_finite_results(name, backend):
    points, values, volume = scene()
    for f, m in ((values, np.zeros_like(volume)), (np.zeros_like(values), volume)):
        value, _, slope = at(metric_of(name, points, f, m, backend), np.eye(4))
        assert value == pytest.approx(0, abs=1e-9)
        np.testing.assert_allclose(slope, 0, atol=1e-9)


def test_local_normalisation_ignores_brightness_and_contrast(backend):
    shape, sigma = (30, 28, 26), (2.0, 2.0, 2.0)
    volume = smooth_volume(shape, 4, sigma=1.0)
    bias = 1 + np.indices(shape)[0] / 60
    brighter = (3 * volume * bias + 7).astype(np.float32)
    plain, changed = (
        normalise_locally(backend.upload(image), sigma, float(image.std()), backend=backend)
        for image in (volume, brighter)
    )
    agreement, itself = (
        backend.download(correlation_map(plain, other, sigma, backend))[4:-4, 4:-4, 4:-4] for other in (changed, plain)
    )
    assert np.abs(agreement - itself).mean() < 0.05 * itself.mean()


def test_local_normalisation_sees_nothing_beyond_the_mask(backend):
    shape, sigma = (20, 18, 16), (2.0, 2.0, 2.0)
    volume = smooth_volume(shape, 6, sigma=1.0)
    mask = (np.indices(shape)[0] < 12).astype(np.uint8)
    volume[12:] += (volume[mask > 0].mean() - volume.mean()) * volume.size / volume[12:].size  # the mean is that within
    shuffled = volume.copy()
    shuffled[12:] = np.random.default_rng(7).permutation(volume[12:].ravel()).reshape(volume[12:].shape)
    one, other = (
        backend.download(normalise_locally(backend.upload(v), sigma, 0.2, backend=backend, mask=backend.upload(mask)))
        for v in (volume, shuffled)
    )
    np.testing.assert_allclose(one, other, atol=1e-4)
    assert not one[12:].any()
    assert one[:12].any()


def test_ranges_are_of_what_lies_inside(backend):
    values, inside = np.array([4.0, -2.5, 7.25, 1.0], np.float32), np.array([True, False, False, True])
    for given, expected in ((None, (-2.5, 7.25)), (backend.upload(inside), (1.0, 4.0))):
        found = value_range(backend.upload(values), given)
        assert [(float(end), end.dtype) for end in found] == [(end, np.float64) for end in expected]
