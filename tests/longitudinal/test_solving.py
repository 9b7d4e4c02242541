"""The steps from images to their maps."""

from __future__ import annotations

import numpy as np

from made_time_points import QUICK
from warpline.backends import select
from warpline.longitudinal.recipes import recipes_with
from warpline.longitudinal.solving import Run
from warpline.registration.clock import Clock


def test_images_in_another_order_are_solved_alike(images):
    """Not by sorting them first: the steps themselves prefer none, but for rounding that a registration carries on."""
    told, clock, none = [], Clock(), [None, None]
    run = Run(*recipes_with(QUICK["settings"]), select("numba", 1), clock, on_pair=lambda *step: told.append(step))
    there = run.solve(images[:2], none)
    assert told == [("rigid", 1, 1), ("change", 1, 1)]
    back = run.solve(images[1::-1], none)
    for one, other in zip(there.points, back.points[::-1], strict=True):
        np.testing.assert_allclose(one.rigid.matrix, other.rigid.matrix, atol=1e-9)
        np.testing.assert_allclose(one.velocity.field, other.velocity.field, atol=1e-2)
    assert set(clock.seconds) == {"rigid", "middle", "change", "median"}
