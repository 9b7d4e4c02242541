"""What fits to a reference need of it."""

from __future__ import annotations

import numpy as np
import pytest

from made_series import grid, seen_through
from warpline.errors import InputError
from warpline.series.targets import FitLevel, bounds_of, prepare_target, pseudoinverse, sigma_of

FINE = FitLevel(sigma=3.0, stride=2, tolerance=1e-3)
WHERE = grid()


def test_points_are_where_the_reference_is_steep(numpy_backend):
    still = seen_through(WHERE, np.eye(4))
    target = prepare_target(still, still > 100, WHERE, FINE, freedom="rigid", backend=numpy_backend)
    assert target.points.shape == (len(target.rows), 3)
    assert target.rows.shape[1] == len(target.normal) == 6 + 5
    assert (target.rows[:, -1] == 1).all()
    assert (still[tuple(target.points.astype(int).T)] > 100).all()
    wide = target.rows.astype(np.float64)
    assert np.allclose(target.normal, wide.T @ wide, rtol=1e-5, atol=1e-6 * target.normal.max())


def test_a_constant_reference_is_refused(numpy_backend):
    flat = np.ones(WHERE.shape, np.float32)
    with pytest.raises(InputError, match="shows nothing"):
        prepare_target(flat, flat > 0, WHERE, FINE, freedom="rigid", backend=numpy_backend)


def test_directions_that_are_not_shown_are_left_alone():
    rows = np.random.default_rng(0).normal(size=(50, 11))
    rows[:, 2] = 0
    inverse = pseudoinverse(rows.T @ rows)
    assert np.abs(inverse[2]).max() < 1e-9
    assert np.abs(inverse[0]).max() > 1e-3


def test_faces_of_a_volume_do_not_count():
    """But of a thin stack, of which nothing would be left."""
    assert bounds_of(grid((20, 20, 2)), FitLevel(3.0, 1, 1e-3))[2] == (-0.5, 1.5)
    low, high = bounds_of(WHERE, FINE)[0]
    assert low == sigma_of(FINE, WHERE)[0] == pytest.approx(3.0 / WHERE.voxel_size[0])
    assert high == WHERE.shape[0] - 1 - low
