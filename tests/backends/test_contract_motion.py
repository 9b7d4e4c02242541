"""`MotionOperations` against slow loops, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d, map_coordinates, spline_filter

from synthetic import general_matrix, smooth_volume
from warpline.backends.motion import Placement

SHAPE, THIN = (12, 9, 11), (9, 8, 1)
RANDOM = np.random.default_rng(3)


def placement(shape, fits=((0, 1), (1, 2), (0, 3)), margin=0.7):
    """Fits of (volume, seed of the matrix)."""
    matrices = np.stack([general_matrix(shape, seed, spread=0.1) for _, seed in fits])
    bounds = np.array([(margin, n - 1 - margin) if n > 4 else (-0.5, n - 0.5) for n in shape])
    return Placement(np.array([volume for volume, _ in fits]), matrices, bounds)


def made(shape, count=700, rank=5):
    volumes = np.stack([smooth_volume(shape, seed) for seed in (1, 2)])
    points = np.stack([RANDOM.integers(0, n, count) for n in shape], -1).astype(np.float32)
    rows = RANDOM.normal(size=(count, rank)).astype(np.float32)
    rows[:, -1] = 1
    return volumes, points, rows


def value(volume, where, bounds):
    """The spline at one point, by SciPy."""
    if not all(low <= x <= high for x, (low, high) in zip(where, bounds, strict=True)):
        return np.nan
    there = [[min(max(x, 0), n - 1)] for x, n in zip(where, volume.shape, strict=True)]
    return map_coordinates(
        spline_filter(volume.astype(np.float64), 3, mode="mirror"), there, mode="mirror", prefilter=False
    )[0]


def expected_values(volumes, points, where):
    return np.array([
        [value(volumes[n], (matrix @ [*point, 1])[:3], where.bounds) for point in points]
        for n, matrix in zip(where.volumes, where.matrices, strict=True)
    ])  # fmt: skip


def summed(backend, volumes, points, rows, where, weights=None):
    """Values and sums of a backend."""
    up = backend.upload
    values = backend.empty((len(where.volumes), len(points)), np.float32)
    coefficients = backend.motion.coefficients(up(volumes), (0.0, 0.0, 0.0))
    given = None if weights is None else up(weights)
    sums = backend.motion.sums(coefficients, up(points), up(rows), where, weights=given, values=values)
    return values, sums


def test_coefficients_are_those_of_smoothed_volumes(backend):
    volumes, _, _ = made(SHAPE)
    found = backend.download(backend.motion.coefficients(backend.upload(volumes), (1.0, 0.0, 0.7)))
    assert found.dtype == np.float64
    for one, volume in zip(found, volumes, strict=True):
        smooth = gaussian_filter1d(
            gaussian_filter1d(volume.astype(np.float64), 1.0, 0, mode="nearest", radius=3),
            0.7,
            2,
            mode="nearest",
            radius=2,
        )
        assert np.abs(one - spline_filter(smooth, 3, mode="mirror")).max() < 2e-5 * np.abs(one).max()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [SHAPE, THIN])
def test_sums_and_products_of_points(backend, shape, weighted):
    volumes, points, rows = made(shape)
    where = placement(shape)
    weights = RANDOM.random((3, len(points))).astype(np.float32) if weighted else None
    values, sums = summed(backend, volumes, points, rows, where, weights)
    truth = expected_values(volumes, points, where)
    found = backend.download(values)
    assert np.array_equal(np.isnan(found), np.isnan(truth))
    assert np.nanmax(np.abs(found - truth)) < 1e-5
    assert 0.2 < np.isnan(truth).mean() < 0.9
    w = ~np.isnan(truth) * (1.0 if weights is None else weights.astype(np.float64))
    v = np.nan_to_num(found.astype(np.float64))
    expected = [
        [*((a * b) @ rows), a @ b**2, a.sum(), (~np.isnan(c)).sum()] for a, b, c in zip(w, v, truth, strict=True)
    ]
    assert np.allclose(sums, expected, rtol=1e-9, atol=1e-9)
    gram = backend.motion.gram(
        backend.upload(rows), values, weights=None if weights is None else backend.upload(weights)
    )
    wide = rows.astype(np.float64)
    assert np.allclose(gram, [(a[:, None] * wide).T @ wide for a in w], rtol=1e-9, atol=1e-9)


def test_residuals_are_what_solutions_leave(backend):
    volumes, points, rows = made(SHAPE)
    values, _ = summed(backend, volumes, points, rows, placement(SHAPE))
    solutions = RANDOM.normal(size=(3, rows.shape[1]))
    found = backend.motion.residuals(values, backend.upload(rows), solutions)
    left = backend.download(values) - solutions @ rows.T.astype(np.float64)
    assert found.dtype == np.float32
    assert np.abs(found - np.nan_to_num(left)).max() < 1e-5
    assert (found[np.isnan(left)] == 0).all()
