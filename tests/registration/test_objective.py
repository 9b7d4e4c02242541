"""The objective of the affine: derivatives by finite differences, weights by overlap."""

from __future__ import annotations

import numpy as np
import pytest

from made_heads import lattice, scan
from made_levels import levels_of
from warpline.backends import select
from warpline.recipe import Linear
from warpline.registration.objective import LEAST_OVERLAP, affine_objective


@pytest.fixture(scope="module")
def objective():
    """A function that makes the objective of a metric, of one head on two grids."""
    backend = select(None, threads=1)
    levels = [levels_of(scan(grid), (6.0,), backend)[0] for grid in (lattice(), lattice(size=3.2))]
    return lambda metric: affine_objective(*levels, Linear(metric=metric, samples=6000))


def shifted(*millimetres):
    matrix = np.eye(4)
    matrix[:3, 3] = millimetres
    return matrix


METRICS = pytest.mark.parametrize("metric", ["mutual_information", "correlation"])


@METRICS
def test_derivatives_are_by_the_world_matrix(metric, objective):
    world = shifted(3.0, -2.0, 1.5)
    _, (slope,) = objective(metric).values_and_derivatives(world[None])
    for row in range(3):
        ends = np.stack([world, world])
        ends[:, row, 3] += (0.01, -0.01)
        rise = np.subtract(*objective(metric).values_and_derivatives(ends)[0]) / 0.02
        assert slope[row, 3] == pytest.approx(rise, rel=0.1, abs=2e-4)


@METRICS
def test_values_are_weighted_by_the_overlap(metric, objective):
    world, function = shifted(20.0, -2.0, 1.5), objective(metric)
    (value,), _ = function.values_and_derivatives(world[None])
    assert 0.5 < function.overlap(world) < 0.95
    assert function.values(world[None])[0] == pytest.approx(value * function.overlap(world))


@METRICS
def test_too_little_overlap_is_the_worst_value(metric, objective):
    away, function = shifted(1000, 0, 0), objective(metric)
    assert function.overlap(away) < LEAST_OVERLAP
    values = function.values(np.stack([away, shifted(3.0, -2.0, 1.5)]))
    assert values[0] == 0 and values[1] < 0


@METRICS
def test_the_objective_is_flat_where_too_little_overlaps(metric, objective):
    _, slopes = objective(metric).values_and_derivatives(np.stack([shifted(1000, 0, 0), shifted(3.0, -2.0, 1.5)]))
    assert not slopes[0].any() and slopes[1].any()
