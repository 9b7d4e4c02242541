"""What time points take of memory."""

from __future__ import annotations

import numpy as np
import pytest

from made_time_points import time_point
from warpline.backends import select
from warpline.errors import UsageError
from warpline.images import Image
from warpline.longitudinal.memory import fitting_images, plan_middle
from warpline.longitudinal.recipes import recipes_with
from warpline.longitudinal.rigid_middle import RigidPair, find_middle
from warpline.space.grid import Grid

BACKEND, NONE = select("numpy"), (None, None)
RIGID, DEFORMABLE = recipes_with(())


@pytest.fixture(scope="module")
def large():
    """Two images of 600 x 600 voxels."""
    image = time_point()
    data = np.kron(image.data[:40, :40, 0], np.ones((15, 15), np.float32))[..., None]
    one = Image(data, Grid(data.shape, np.diag([0.13, 0.13, 1.0, 1.0]), flat=True), "large")
    return [one, one]


def planned(images, memory):
    middle = find_middle([RigidPair((0, 1), np.eye(4), 0.0)], images)
    return plan_middle(images, middle, DEFORMABLE, BACKEND, masks=NONE, memory=memory)


def test_a_middle_that_does_not_fit_is_coarser(large):
    whole = planned(large, None)
    less = planned(large, whole.predicted / 1e9 - 1e-3)
    assert (whole.times, whole.warnings()) == (1, ())
    assert less.times > 1 and less.predicted <= less.limit
    np.testing.assert_allclose(less.grid.voxel_size[:2], less.times * 0.13)
    assert whole.seen(large[0]) is large[0]
    np.testing.assert_allclose(less.seen(large[0]).grid.voxel_size[:2], less.times * 0.13)
    (warning,) = less.warnings()
    assert f"{less.times} times" in warning and "asked for" in warning
    with pytest.raises(UsageError, match="coarsest grid"):
        planned(large, 0.5)


def test_the_rigid_stage_sees_means_where_it_must(large):
    images, masks, notes = fitting_images(large, RIGID, BACKEND, masks=NONE, memory=0.515)
    assert images[0].data.shape[0] < 600 and masks == [None, None]
    assert "rigidly" in notes[0]
    same, _, none = fitting_images(large, RIGID, BACKEND, masks=NONE)
    assert same[0] is large[0] and none == ()
