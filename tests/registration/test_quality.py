"""Quality of maps: folds by any differences, errors of round trips, and limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthetic import fading_field
from warpline.registration.quality import MEAN_LIMIT, P99_LIMIT, Quality, quality_of, round_trip

SHAPE = (9, 8, 7)


def quality(forward, inverse, backend, mask=None, **more):
    mask = np.ones(SHAPE, bool) if mask is None else mask
    fields = (backend.upload(np.float32(field)) for field in (forward, inverse))
    return quality_of(*fields, backend.upload(mask.astype(np.uint8)), backend, **more)


def nothing():
    return np.zeros((3, *SHAPE), np.float32)


def shifted(*vector):
    return np.full((3, *SHAPE), 1.0) * np.reshape(vector, (3, 1, 1, 1))


def test_folds_count_by_any_differences(backend):
    """A voxel that overtakes the next one is not seen by central differences there."""
    field = nothing()
    field[0, 4, 4, 3] = 1.5
    found = quality(field, nothing(), backend)
    assert found.least_jacobian == -0.5 < found.jacobian_min == 0.25
    by_any, by_central = (
        np.array(backend.download(measure(backend.upload(field))))
        for measure in (backend.least_jacobian, backend.jacobian)
    )
    assert found.folded_voxels == (by_any <= 0).sum() > (by_central <= 0).sum() == 0
    assert found.folds == found.folded_voxels / np.prod(SHAPE)
    assert not found.is_within_limits


@pytest.mark.parametrize("swapped", [False, True])
def test_the_worse_direction_counts(backend, swapped):
    field = nothing()
    field[0, 4, 4, 3] = 1.5
    maps = (nothing(), field) if swapped else (field, nothing())
    found = quality(*maps, backend)
    assert found.folded_voxels > 0 and found.least_jacobian == -0.5
    assert found.jacobian_max == (1.0 if swapped else 1.75)
    assert found.inverse_error_max == pytest.approx(1.5)


def test_only_the_mask_is_measured(backend):
    field = nothing()
    field[0, 4, 4, 3] = 1.5
    far = np.zeros(SHAPE, bool)
    far[:2] = True
    found = quality(field, nothing(), backend, far)
    assert found == Quality(0.0, 0, 1.0, 1.0, 0.0, 0.0, 0.0, least_jacobian=1.0)
    near = np.zeros(SHAPE, bool)
    near[4, 4, 3] = True
    assert quality(field, nothing(), backend, near).folds == 1.0


def test_an_empty_mask_has_no_folds_and_no_errors(backend):
    field = nothing()
    field[0, 4, 4, 3] = 1.5
    found = quality(field, nothing(), backend, np.zeros(SHAPE, bool))
    assert (found.folds, found.folded_voxels, found.inverse_error_mean, found.inverse_error_max) == (0, 0, 0, 0)


def test_errors_are_counted_in_units(backend):
    """A shift that nothing undoes misses by itself, along each axis in its unit."""
    shift = shifted(0.3, 0.4, 0.0)
    found = quality(shift, nothing(), backend, rounds=3)
    errors = found.inverse_error_mean, found.inverse_error_p99, found.inverse_error_max
    assert errors == pytest.approx((0.5, 0.5, 0.5), rel=1e-6) and found.rounds == 3
    coarser = quality(shift, nothing(), backend, units=(3.0, 4.0, 1.0))
    assert coarser.inverse_error_mean == pytest.approx(np.hypot(0.1, 0.1), rel=1e-6)
    assert coarser.units == (3.0, 4.0, 1.0)


def test_opposite_shifts_have_no_error(backend):
    shift = shifted(0.25, -0.5, 0.125)
    found = quality(shift, -shift, backend)
    assert found.inverse_error_max == 0 and found.is_within_limits


def test_a_round_trip_adds_both_displacements(backend):
    inner, outer = fading_field(SHAPE, 1, 1.0), shifted(1.0, 0.0, -2.0)
    found = round_trip(backend.upload(np.float32(outer)), backend.upload(inner), backend)
    np.testing.assert_allclose(backend.download(found), inner + outer, atol=4 * np.finfo(np.float32).eps)


def test_limits_are_of_folds_mean_and_percentile():
    good = Quality(0.0, 0, 0.2, 3.0, MEAN_LIMIT, P99_LIMIT, 9.0)
    assert good.is_within_limits
    for worse in (
        {"folded_voxels": 1},
        {"inverse_error_mean": 1.01 * MEAN_LIMIT},
        {"inverse_error_p99": 1.01 * P99_LIMIT},
    ):
        assert not replace(good, **worse).is_within_limits
