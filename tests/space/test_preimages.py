"""Points that a transform takes to given ones."""

from __future__ import annotations

import numpy as np
import pytest

from made_transforms import inner_points, made_affine, made_displacement, made_grid
from warpline.errors import InputError
from warpline.space import Chain, Displacement
from warpline.space.preimages import preimages

GRID = made_grid("oblique")
WARP = made_displacement(GRID)
POINTS = inner_points(GRID)


TRANSFORMS = {"affine": made_affine(), "warp": WARP, "chain": Chain((WARP, made_affine()))}


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_preimages_map_to_their_targets(kind):
    transform = TRANSFORMS[kind]
    targets = transform.map_points(POINTS)
    found = preimages(transform, targets)
    np.testing.assert_allclose(transform.map_points(found.points), targets, atol=1e-5)


def test_the_shape_of_the_targets_is_kept():
    assert preimages(made_affine(), np.zeros((2, 5, 3))).points.shape == (2, 5, 3)


def test_a_field_with_gaps_has_no_preimages():
    field = WARP.field.copy()
    field[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError):
        preimages(Displacement(field, GRID), POINTS)
