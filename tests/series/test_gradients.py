"""Shells, and directions that turn with the volumes."""

from __future__ import annotations

import numpy as np
import pytest

from made_series import grid, rigid
from warpline.errors import InputError
from warpline.series.gradients import Gradients
from warpline.space.grid import Grid

BVALS = np.array([0, 1000, 5, 2000, 995, 2000.0])


def test_shells_gather_rounded_values():
    assert Gradients(BVALS).shells() == [(0, [0, 2]), (997, [1, 4]), (2000, [3, 5])]


@pytest.mark.parametrize("flip", [1, -1])
def test_directions_turn_back_with_the_volume(flip):
    """A volume whose object is turned by R saw the gradient g of the scanner along R^-1 g of the object."""
    sizes = (3.0 * flip, 2.0, 2.5)
    where = grid((4, 4, 4), sizes)
    target = Grid((5, 5, 5), np.diag([2.0, 2, 2, 1]))
    turn = rigid((1, 2, 3), (0, 0, 90))
    world = np.array([[0.6, 0.8, 0], [0, 0, 1.0]])
    first = -1 if flip > 0 else 1  # FSL counts the first axis backwards where the determinant is positive
    axes = where.affine[:3, :3] / where.voxel_size * [first, 1, 1]
    given = Gradients(np.array([0, 1000.0]), world @ axes)
    turned = given.turned(np.stack([turn, turn]), where, target)
    object_frame = world @ turn[:3, :3]
    np.testing.assert_allclose(turned.bvecs, object_frame * [-1, 1, 1], atol=1e-12)


def test_at_rest_nothing_changes():
    where = grid()
    vectors = np.random.default_rng(0).normal(size=(6, 3))
    rest = np.stack([np.eye(4)] * 6)
    np.testing.assert_allclose(Gradients(BVALS, vectors).turned(rest, where, where).bvecs, vectors, atol=1e-12)
    assert Gradients(BVALS).turned(rest, where, where).bvecs is None


@pytest.mark.parametrize(
    ("bvals", "bvecs", "message"),
    [(BVALS[1:], None, "bval has 5"), (BVALS, np.ones((5, 3)), "bvec has 5"), (BVALS + 100, None, "no volume")],
)
def test_tables_that_do_not_fit_are_refused(bvals, bvecs, message):
    with pytest.raises(InputError, match=message):
        Gradients.read(bvals, bvecs, 6)
