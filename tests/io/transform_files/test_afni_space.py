"""Where AFNI sees the voxels of a grid."""

from __future__ import annotations

import numpy as np
import pytest

from made_transforms import made_grid
from warpline.errors import InputError
from warpline.io.transform_files import afni_space
from warpline.space.grid import Grid


@pytest.mark.parametrize("axes", ["straight", "left-handed"])
def test_straight_grids_stay_where_they_are(axes):
    np.testing.assert_array_equal(afni_space.from_world(made_grid(axes)), np.eye(4))


@pytest.mark.parametrize("axes", ["oblique", "sagittal"])
def test_oblique_grids_turn_about_their_first_voxel(axes):
    grid = made_grid(axes)
    seen = afni_space.from_world(grid) @ grid.affine
    np.testing.assert_allclose(seen[:3, 3], grid.affine[:3, 3])
    np.testing.assert_allclose(np.linalg.norm(seen[:3, :3], axis=0), grid.voxel_size)
    assert (np.abs(seen[:3, :3]) > 1e-9).sum(axis=0).tolist() == [1, 1, 1]
    nearest = np.abs(grid.affine[:3, :3]).argmax(axis=0)
    np.testing.assert_array_equal(np.abs(seen[:3, :3]).argmax(axis=0), nearest)
    assert (seen[nearest, range(3)] * grid.affine[nearest, range(3)] > 0).all()


def test_axes_nearest_to_one_world_axis_are_refused():
    affine = np.eye(4)
    affine[:3, :2] = [[1, 0.9], [0, 0.1], [0, 0.5]]
    with pytest.raises(InputError, match="so oblique that two of its axes"):
        afni_space.from_world(Grid((2, 2, 2), affine))
