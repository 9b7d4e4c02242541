"""Joining half-maps into one map and its inverse, without folds and within the limits."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from synthetic import ellipsoid, fading_field, smooth_field, wide_field
from warpline.registration.inverse_consistency import (
    LEAST_CENTRAL_JACOBIAN,
    LEAST_JACOBIAN,
    MEAN_LIMIT,
    P99_LIMIT,
    enforce_inverse_consistency,
    join,
    soft_region,
)
from warpline.space.inversion import field_inverse_error

SHAPE = (24, 22, 20)
EVERYWHERE = np.ones(SHAPE, bool)


def make(backend, to_fixed, to_moving, mask=None):
    mask = np.ones(to_fixed.shape[1:], bool) if mask is None else mask
    given = backend.upload(mask.astype(np.uint8))
    return enforce_inverse_consistency(
        backend.upload(to_fixed.copy()), backend.upload(to_moving.copy()), given, backend
    )


def joined(to_fixed, to_moving, backend):
    """The plain join, on the host."""
    return [np.array(backend.download(f)) for f in join(backend.upload(to_fixed), backend.upload(to_moving), backend)]


def composed(outer, inner):
    """``inner + outer o (id + inner)`` in float64."""
    where = np.indices(inner.shape[1:]) + np.float64(inner)
    return inner + np.stack([map_coordinates(np.float64(u), where, order=1, mode="nearest") for u in outer])


def determinant(field):
    slopes = np.zeros((3, *field.shape))
    for c, axis in np.ndindex(3, 3):
        if field.shape[axis + 1] > 1:
            slopes[c, axis] = np.gradient(np.float64(field[c]), axis=axis)
    return np.linalg.det(np.moveaxis(slopes, (0, 1), (-2, -1)) + np.eye(3))


def least_determinant(field):
    """The least by one-sided differences, and of the tetrahedra in the cubes above and below, where there are any."""
    n = np.array(field.shape[1:])
    least, corners = np.full(n, np.inf), list(product((-1, 1), repeat=3))
    edges = [np.diag(s) * (n > 1) for s in corners] + [s * np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]]) for s in (1, -1)]
    units = [np.diag(s) for s in corners] + edges[-2:]
    index = np.indices(n).reshape(3, -1)
    for steps, straight in zip(edges[: 10 if n.min() > 1 else 8], units, strict=False):
        ends = [index + step[:, None] for step in steps]
        inside = np.all([(end >= 0) & (end < n[:, None]) for end in ends], axis=(0, 1))
        at = index[:, inside]
        moved = [
            (np.float64(field[(slice(None), *end[:, inside])]) - field[(slice(None), *at)]).T + edge
            for end, edge in zip(ends, straight, strict=True)
        ]
        found = np.linalg.det(np.stack(moved, axis=1)) / np.linalg.det(straight)
        least[tuple(at)] = np.minimum(least[tuple(at)], found)
    return least


def assert_holds(found, backend, mask):
    """The limits, measured independently of the engine."""
    forward, inverse = (np.array(backend.download(f)) for f in (found.forward, found.inverse))
    for outer, inner in ((forward, inverse), (inverse, forward)):
        missed = np.linalg.norm(composed(outer, inner), axis=0)[mask]
        assert missed.mean() < MEAN_LIMIT
        assert np.quantile(missed, 0.99) < P99_LIMIT
    for field in (forward, inverse):
        assert determinant(field)[mask].min() > 0
        assert least_determinant(field)[mask].min() > 0.99 * LEAST_JACOBIAN


def within_limits(found, backend):
    errors = [field_inverse_error(*pair, backend) for pair in permutations((found.forward, found.inverse))]
    return all(error.mean <= MEAN_LIMIT and error.p99 <= P99_LIMIT for error in errors)


def test_halves_are_joined_through_the_middle(backend):
    to_fixed, to_moving = fading_field(SHAPE, 1, 1.0, sigma=4), fading_field(SHAPE, 2, 1.0, sigma=4)
    forward, inverse = joined(to_fixed, to_moving, backend)
    # From the middle, going to the fixed image and on through the map ends where going to the moving image does.
    np.testing.assert_allclose(composed(forward, to_fixed), to_moving, atol=0.08)
    np.testing.assert_allclose(composed(inverse, to_moving), to_fixed, atol=0.08)


def test_shifts_add_up(backend):
    to_fixed, to_moving = (np.zeros((3, *SHAPE), np.float32) for _ in range(2))
    to_fixed[0], to_moving[0], to_moving[1] = 1.0, -1.5, 0.5
    found = make(backend, to_fixed, to_moving)
    np.testing.assert_allclose(backend.download(found.forward)[:, 9, 9, 9], [-2.5, 0.5, 0], atol=1e-5)
    np.testing.assert_allclose(backend.download(found.inverse)[:, 9, 9, 9], [2.5, -0.5, 0], atol=1e-5)
    assert found.quality.jacobian_min == pytest.approx(1, abs=1e-5)
    assert found.quality.jacobian_max == pytest.approx(1, abs=1e-5)


def test_no_motion_is_the_identity(backend):
    nothing = np.zeros((3, *SHAPE), np.float32)
    found = make(backend, nothing, nothing)
    assert not backend.download(found.forward).any()
    assert not backend.download(found.inverse).any()
    assert found.quality.rounds == 0


@pytest.mark.parametrize("shape", [SHAPE, (30, 28, 1)])
def test_smooth_halves_are_joined_and_left_alone(backend, shape):
    to_fixed, to_moving = fading_field(shape, 3, 1.0, sigma=4), fading_field(shape, 4, 1.0, sigma=4)
    found = make(backend, to_fixed, to_moving)
    assert found.quality.rounds == 0
    assert_holds(found, backend, np.ones(shape, bool))
    np.testing.assert_array_equal(backend.download(found.forward), joined(to_fixed, to_moving, backend)[0])


def steep_halves(shape=SHAPE):
    """Half-maps that do not fold, whose join squeezes space to nothing and bends more sharply than a grid carries."""
    to_fixed = fading_field(shape, 5, 3.5, sigma=2.0)
    return to_fixed, -to_fixed


@pytest.mark.parametrize("shape", [SHAPE, (30, 28, 1)])
def test_folds_and_inverse_errors_end_within_the_limits(backend, shape):
    to_fixed, to_moving = steep_halves(shape)
    plain = joined(to_fixed, to_moving, backend)
    worst = min(determinant(f).min() for f in plain)
    missed = np.linalg.norm(composed(plain[1], plain[0]), axis=0)
    assert worst <= LEAST_CENTRAL_JACOBIAN or missed.mean() > MEAN_LIMIT or np.quantile(missed, 0.99) > P99_LIMIT
    found = make(backend, to_fixed, to_moving)
    assert found.quality.rounds > 0
    assert found.quality.folded_voxels == 0
    assert_holds(found, backend, np.ones(shape, bool))


def test_halves_that_fold_themselves_come_out_without_folds(backend):
    to_fixed = smooth_field(SHAPE, 9, 3.0, sigma=1.5)
    assert determinant(to_fixed).min() < 0
    found = make(backend, to_fixed, np.zeros_like(to_fixed))
    assert found.quality.folded_voxels == 0
    assert_holds(found, backend, EVERYWHERE)


def test_the_relaxation_changes_little_elsewhere(backend):
    shape = (48, 20, 20)
    to_fixed, to_moving = (np.zeros((3, *shape), np.float32) for _ in range(2))
    rough, calm = steep_halves((20, 20, 20))[0], fading_field((20, 20, 20), 7, 0.8, sigma=4)
    to_fixed[:, :20], to_moving[:, :20] = rough, -rough
    to_fixed[:, 28:] = calm
    found = make(backend, to_fixed, to_moving)
    assert found.quality.rounds > 0
    change = np.abs(backend.download(found.forward) - joined(to_fixed, to_moving, backend)[0])
    assert change[:, :20].max() > 0.1
    assert change[:, 28:].max() < 0.05


def test_quality_is_what_can_be_measured(backend):
    mask = ellipsoid(SHAPE)
    found = make(backend, fading_field(SHAPE, 3, 1.5), fading_field(SHAPE, 4, 1.5), mask)
    forward, inverse = (np.array(backend.download(f)) for f in (found.forward, found.inverse))
    there, back = (determinant(field)[mask] for field in (forward, inverse))
    quality = found.quality
    assert quality.folds == 0
    assert quality.jacobian_min == pytest.approx(min(there.min(), back.min()), abs=1e-4)
    assert quality.jacobian_max == pytest.approx(there.max(), abs=1e-4)
    strict = min(least_determinant(field)[mask].min() for field in (forward, inverse))
    assert quality.least_jacobian == pytest.approx(strict, abs=1e-4)
    missed = [np.linalg.norm(composed(*pair), axis=0)[mask] for pair in ((forward, inverse), (inverse, forward))]
    assert quality.inverse_error_mean == pytest.approx(max(m.mean() for m in missed), rel=1e-3, abs=1e-5)
    assert quality.inverse_error_p99 == pytest.approx(max(np.quantile(m, 0.99) for m in missed), rel=0.02, abs=1e-5)
    assert quality.inverse_error_max == pytest.approx(max(m.max() for m in missed), rel=1e-3, abs=1e-5)


def test_noise_comes_out_without_folds_or_is_reported(backend):
    """Half-maps no solver makes: what is reported agrees with what is delivered."""
    noise = wide_field(SHAPE, 1, largest=8.0)
    found = make(backend, noise, -noise[::-1])
    maps = [np.array(backend.download(f)) for f in (found.forward, found.inverse)]
    folded = [(least_determinant(field) <= 0).sum() for field in maps]
    assert found.quality.folded_voxels == pytest.approx(max(folded), abs=2)
    assert found.quality.folds == found.quality.folded_voxels / noise[0].size
    assert found.quality.is_within_limits == (max(folded) == 0 and within_limits(found, backend))


def test_halves_too_rough_in_one_place_keep_the_others(backend):
    """They are smoothed where determinants are low."""
    shape = (48, 20, 20)
    gentle, wild = (smooth_field(shape, 31), smooth_field(shape, 32)), (wide_field(shape, 33), wide_field(shape, 34))
    share = np.clip((np.arange(48) - 34) / 6, 0, 1).astype(np.float32)[:, None, None]
    halves = [(0.5 * a + 4 * share * b).astype(np.float32) for a, b in zip(gentle, wild, strict=True)]
    plain, _ = joined(*halves, backend)
    found = make(backend, *halves)
    assert found.smoothed == (1.0, "where determinants are low")
    assert found.quality.folded_voxels == 0
    far = slice(2, 18)
    assert np.abs(np.array(backend.download(found.forward)) - plain)[:, far].max() < 0.05


def test_folds_that_central_differences_miss_are_raised(backend):
    shape = (30, 12, 12)
    to_fixed, to_moving = (np.zeros((3, *shape), np.float32) for _ in range(2))
    to_moving[0, 6, 6, 6] = 1.5  # its central differences there are 0
    forward, _ = joined(to_fixed, to_moving, backend)
    assert determinant(forward).min() > LEAST_CENTRAL_JACOBIAN
    assert least_determinant(forward).min() < 0
    found = make(backend, to_fixed, to_moving)
    assert_holds(found, backend, np.ones(shape, bool))
    assert found.quality.folded_voxels == 0 and found.quality.least_jacobian > LEAST_JACOBIAN
    np.testing.assert_array_equal(backend.download(found.forward)[:, 12:], forward[:, 12:])


def test_an_empty_mask_has_no_errors(backend):
    found = make(backend, fading_field(SHAPE, 3, 1.0), fading_field(SHAPE, 4, 1.0), np.zeros(SHAPE, bool))
    assert found.quality.folded_voxels == 0
    assert found.quality.inverse_error_mean == 0


def test_the_limits_hold_in_the_mask_beside_rough_maps(backend):
    mask = ellipsoid(SHAPE, 0.3)
    found = make(backend, *steep_halves(), mask)
    assert_holds(found, backend, mask)
    error = field_inverse_error(found.forward, found.inverse, backend, mask)
    assert error.mean < MEAN_LIMIT


@pytest.mark.parametrize("shape", [(21, 19, 20), (21, 1, 20)])
def test_a_region_is_soft_around_a_lone_voxel(shape, numpy_backend):
    """The voxel counts in full, and it falls off at once, in slices as in volumes."""
    region = np.zeros(shape, np.float32)
    middle = tuple(n // 2 for n in shape)
    region[middle] = 1
    soft = soft_region(region, 2.0, numpy_backend)
    assert soft[middle] == pytest.approx(1)
    along = soft[:, middle[1], middle[2]]
    np.testing.assert_allclose(along[middle[0] :][:5], np.exp(-(np.arange(5) ** 2) / 8), rtol=1e-3)
