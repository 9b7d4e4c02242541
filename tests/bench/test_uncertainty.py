"""What the benchmark of the uncertainty makes and measures."""

from __future__ import annotations

import numpy as np
import pytest

import uncertainty
from warpline.images import Image
from warpline.space.grid import Grid

GRID = Grid((60, 50, 1), np.diag([2.0, 2.0, 2.0, 1.0]), True)


def test_velocities_are_as_long_as_asked_and_stay_in_the_plane():
    field = uncertainty.velocity(GRID, uncertainty.Made(0.02, 10, 4), seed=1).field
    assert np.sqrt(np.square(field).sum(axis=0).mean()) == pytest.approx(4, rel=1e-5)
    assert not field[2].any()


def test_figures_of_a_perfect_uncertainty():
    """Errors of normal components in a plane: 1 - exp(-k^2) of them lie within k times their root mean square."""
    random = np.random.default_rng(0)
    spread = random.uniform(0.5, 2, 40_000)
    error = spread / np.sqrt(2) * np.linalg.norm(random.standard_normal((2, spread.size)), axis=0)
    found = uncertainty.compared(spread, error)
    assert [found[f"within_{k}"] for k in (1, 2, 3)] == pytest.approx(
        [1 - np.exp(-(k**2)) for k in (1, 2, 3)], abs=0.01
    )
    assert found["error_over_spread"] == pytest.approx(1, abs=0.02)
    assert found["multiple_of_95"] == pytest.approx(np.sqrt(np.log(20)), abs=0.03)
    assert 0.3 < found["spearman"] < 0.6


def test_boundaries_of_labels_are_found():
    labels = np.zeros((8, 6, 1), int)
    labels[4:] = 3
    np.testing.assert_array_equal(uncertainty._distance_from_boundary(labels)[:, 2, 0], [3, 2, 1, 0, 0, 1, 2, 3])


def test_only_one_side_is_faded():
    data = np.random.default_rng(0).uniform(50, 100, GRID.shape).astype(np.float32)
    data[:, :5] = 0
    image = Image(data, GRID)
    drawn = uncertainty.faded(image).data
    np.testing.assert_array_equal(drawn[:30], data[:30])
    assert drawn[30:, 5:].std() == pytest.approx(uncertainty.FADED * data[30:, 5:].std(), rel=1e-3)
    assert not drawn[:, :5].any()
