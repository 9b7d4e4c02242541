"""What holds for every linear metric on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.measuring import METRICS, at, metric_of, scene, value_of
from metrics.measuring import SCENE_SHAPE as SHAPE
from synthetic import general_matrix
from warpline.metrics import LINEAR_METRICS


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


@pytest.mark.parametrize("name", LINEAR_METRICS)
def test_inverted_contrast_counts_as_much(name, backend):
    points, values, volume = scene()
    plain = value_of(metric_of(name, points, values, volume, backend), np.eye(4))[0]
    inverted = value_of(metric_of(name, points, values, -volume, backend), np.eye(4))[0]
    assert inverted == pytest.approx(plain, rel=0.02)


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
