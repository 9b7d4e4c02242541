"""The judgement of motion correction judges."""

from __future__ import annotations

import numpy as np
import pytest

import series as bench
from made_series import grid, rigid, seen_through


@pytest.fixture(scope="module")
def made():
    where = grid((14, 16, 12), (5.0, 5.0, 5.0))
    return bench.made_series(seen_through(where, np.eye(4)), where.affine, 10)


def test_motion_starts_at_rest_and_keeps_its_bound(made):
    np.testing.assert_allclose(made.matrices[0], np.eye(4), atol=1e-12)
    moved = made.matrices[:, :3, :3] @ made.centre + made.matrices[:, :3, 3] - made.centre
    assert 0.1 < np.abs(moved).max() <= bench.MOST


def test_the_true_motion_has_no_error_in_any_reference(made):
    other = rigid((3, -2, 1), (4, 5, 6))
    assert max(bench.errors(made.matrices @ other, made).values()) < 1e-4


def test_errors_are_those_of_the_volumes(made):
    found = made.matrices.copy()
    found[4, 0, 3] += 0.3
    errors = bench.errors(found, made)
    assert errors["shift_mm_max"] == pytest.approx(0.3, abs=1e-4)
    assert errors["shift_mm_mean"] == pytest.approx(0.03, abs=1e-4)
    assert errors["degrees_max"] == 0
