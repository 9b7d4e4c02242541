"""Velocity fields of time points."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic import smooth_field
from warpline.backends import select
from warpline.errors import UsageError
from warpline.longitudinal.change_fields import ChangePair, recipe_with, register_changes, velocities_of
from warpline.space.grid import Grid

SHAPE = (8, 9, 7)


def test_fields_explain_the_pairs_and_have_no_mean():
    true = [smooth_field(SHAPE, seed) for seed in range(3)]
    pairs = [ChangePair((i, j), true[j] - true[i], 0.0, "fine", ()) for j in range(3) for i in range(j)]
    found = [one.field for one in velocities_of(pairs, Grid(SHAPE, np.eye(4)), 3)]
    np.testing.assert_allclose(sum(found), 0, atol=1e-6)
    for pair in pairs:
        first, second = pair.numbers
        np.testing.assert_allclose(found[second] - found[first], pair.velocity, atol=1e-5)


def test_swapped_images_have_the_opposite_field(found):
    aligned = [point.aligned for point in found.points]
    backend, recipe = select("numba", 1), recipe_with(["syn.iterations=[10, 5]", "syn.factors=[2, 1]"])
    (there,), (back,) = (register_changes(images, recipe, backend) for images in (aligned, aligned[::-1]))
    np.testing.assert_array_equal(there.velocity, -back.velocity)


def test_settings_that_take_away_the_field_are_refused():
    assert recipe_with(["syn.radius=3"]).syn.radius == 3
    with pytest.raises(UsageError, match=r"syn\.model=velocity"):
        recipe_with(["syn=off"])
