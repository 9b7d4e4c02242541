"""Lists of transforms between images."""

from __future__ import annotations

import numpy as np

from oblique_pair import FIXED, TURN, world_points
from warpline.io.transform_files import write_transform
from warpline.operations import read_chain
from warpline.space.grid import Grid


def test_the_grids_of_the_images_are_taken_from_them(tmp_path):
    fixed, moving = Grid((8, 9, 10), np.diag([2.0, 1.0, 1.0, 1.0])), Grid((10, 9, 8), np.diag([1.0, 3.0, 1.0, 1.0]))
    write_transform(TURN, tmp_path / "flirt.mat", "fsl-flirt", fixed=fixed, moving=moving)
    entry, points = f"fsl-flirt:{tmp_path / 'flirt.mat'}", world_points(FIXED)
    there = read_chain(entry, fixed=fixed, moving=moving)
    np.testing.assert_allclose(there.map_points(points), TURN.map_points(points), atol=1e-6)
    back = read_chain([f"[{entry},1]"], fixed=moving, moving=fixed)
    np.testing.assert_allclose(back.map_points(there.map_points(points)), points, atol=1e-6)
