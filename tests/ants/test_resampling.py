"""Images on other grids, against ANTsPy."""

from __future__ import annotations

import ants
import numpy as np
import pytest

from ants_peers import DIRECTIONS, in_ants, made_grid, smooth
from warpline import ants as ours

GRID = made_grid(DIRECTIONS["oblique"], (20, 18, 16), (1.0, 1.5, 2.0))

MOVED = made_grid(DIRECTIONS["flipped"], (9, 10, 11), (1.5, 1.6, 1.7))


def pair(*arrays):
    """Arrays on the grid: as ANTsImages, and as we take them."""
    return [in_ants(array, GRID) for array in arrays], [(array, GRID.affine) for array in arrays]


@pytest.mark.parametrize("kind", [0, 1, 4])
@pytest.mark.parametrize(
    ("wanted", "voxels"), [((10, 8, 6), True), ((10.7, 8.2, 6), True), ((1.3, 1.1, 1.7), False), ((2, 2, 2), False)]
)
def test_resampling(kind, wanted, voxels):
    (theirs,), (mine,) = pair(smooth(GRID.shape, 1))
    expected, found = ants.resample_image(theirs, wanted, voxels, kind), ours.resample_image(mine, wanted, voxels, kind)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.header.get_zooms(), expected.spacing, rtol=1e-6)
    np.testing.assert_allclose(found.affine[:3, 3] * [-1, -1, 1], expected.origin, atol=1e-4)
    inner = (slice(0, -1),) * 3 if kind == 4 else ...  # splines differ beyond the last centre
    np.testing.assert_allclose(np.asarray(found.dataobj)[inner], expected.numpy()[inner], atol=1e-4)


@pytest.mark.parametrize(("number", "name"), [(0, "linear"), (4, "bSpline")])
def test_resampling_to_a_target(number, name):
    (theirs,), (mine,) = pair(smooth(GRID.shape, 1))
    (target,), (ours_target,) = [in_ants(smooth(MOVED.shape, 2), MOVED)], [(np.zeros(MOVED.shape), MOVED.affine)]
    expected = ants.resample_image_to_target(theirs, target, name).numpy()
    for way in (number, name):
        found = np.asarray(ours.resample_image_to_target(mine, ours_target, way).dataobj)
        inside = expected != 0
        close = np.isclose(found, expected, atol=1e-3)
        assert close[inside].mean() > 0.95 and inside.mean() > 0.5  # beyond the outer centres rules differ


def test_slices_are_resampled():
    array = smooth((20, 18), 1)
    found = ours.resample_image((array, np.eye(3)), (2.0, 3.0), False, 0)
    assert found.shape == (10, 6)
    np.testing.assert_allclose(np.asarray(found.dataobj), array[::2, ::3], atol=1e-5)
