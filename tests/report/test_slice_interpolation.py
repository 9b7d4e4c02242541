"""Linear interpolation on slices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from warpline.images import Image
from warpline.report.slices import middle_slices, sample_slices, slice_series
from warpline.space.grid import Grid


@pytest.mark.parametrize("turned", [False, True])
def test_slices_agree_with_interpolation_at_each_point(phantom, turned):
    """Parallel axes are interpolated one after the other, slanted ones at once; SciPy is the judge of both."""
    moving = phantom.moving
    if turned:
        slant = np.eye(4)
        slant[:2, :2] = ((np.cos(0.1), -np.sin(0.1)), (np.sin(0.1), np.cos(0.1)))
        moving = Image(moving.data, Grid(moving.grid.shape, slant @ moving.grid.affine))
    for slices in slice_series(phantom.fixed, 5, 70):
        found = sample_slices(slices, moving)
        matrix = phantom.fixed.grid.voxel_map_to(moving.grid)
        for plane, section in zip(found, slices, strict=True):
            where = np.tensordot(matrix[:3, :3], section.voxels, 1) + matrix[:3, 3, None, None]
            inside = np.all([(w >= 0) & (w <= n - 1) for w, n in zip(where, moving.grid.shape, strict=True)], axis=0)
            wanted = np.where(inside, map_coordinates(moving.data.astype(float), where, order=1), 0)
            border = np.abs(plane - wanted) > 1e-3 * moving.data.max()
            assert border.mean() < 0.01  # points that rounding puts on either side of the border
    assert np.array_equal(
        middle_slices(phantom.fixed)[0].sample(moving), sample_slices(middle_slices(phantom.fixed)[:1], moving)[0]
    )
