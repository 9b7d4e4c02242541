"""Velocity fields of time points."""

from __future__ import annotations

import numpy as np

from synthetic import smooth_field
from warpline.backends import select
from warpline.longitudinal.change_fields import ChangePair, register_changes, velocities_of
from warpline.longitudinal.recipes import recipes_with
from warpline.space.grid import Grid

SHAPE = (8, 9, 7)


def test_fields_explain_the_pairs_and_have_no_mean():
    true = [smooth_field(SHAPE, seed) for seed in range(3)]
    changes = [(ChangePair((i, j), 0.0, "fine", ()), true[j] - true[i]) for j in range(3) for i in range(j)]
    pairs, velocities = velocities_of(iter(changes), Grid(SHAPE, np.eye(4)), 3)
    found = [one.field for one in velocities]
    assert pairs == [pair for pair, _ in changes]
    np.testing.assert_allclose(sum(found), 0, atol=1e-6)
    for pair, velocity in changes:
        first, second = pair.numbers
        np.testing.assert_allclose(found[second] - found[first], velocity, atol=1e-5)


def test_swapped_images_have_the_opposite_field(found):
    aligned = [point.aligned for point in found.points]
    backend, (_, recipe) = select("numba", 1), recipes_with(["syn.iterations=[10, 5]", "syn.factors=[2, 1]"])
    none = [None, None]
    ((_, there),), ((_, back),) = (register_changes(one, none, recipe, backend) for one in (aligned, aligned[::-1]))
    np.testing.assert_array_equal(there, -back)
