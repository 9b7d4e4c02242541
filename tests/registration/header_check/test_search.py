"""One map for every reading of a header that is looked into."""

from __future__ import annotations

import numpy as np

from faulty_headers import flipped, heads
from warpline.images.intensity import normalise
from warpline.registration.header_check.orientations import orientations
from warpline.registration.header_check.search import hypotheses, read_as
from warpline.registration.header_check.spacings import UNCHANGED
from warpline.registration.judgement import ObjectComparison
from warpline.space.grid import Grid


def test_the_right_reading_agrees_best(numba):
    reference, image = heads()
    pair = normalise(reference, numba), normalise(flipped(image, 2), numba)
    comparison = ObjectComparison(*pair, numba)
    found = hypotheses(pair, (UNCHANGED,), comparison, in_plane=False, backend=numba)
    assert (found[0].orientation == np.diag([1.0, 1, -1])).all() and found[0].agreement.correlation > 0.9
    assert sum(one.is_header for one in found) == 1
    assert len({one.orientation.tobytes() for one in found}) == len(found)


def test_axes_may_take_their_voxel_sizes_along():
    grid = Grid((10, 10, 10), np.diag([1.0, 2.0, 2.0, 1.0]))
    exchange = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    sizes = [reading.voxel_size.tolist() for reading in read_as(grid, exchange)]
    assert sizes == [[1, 2, 2], [2, 1, 2]]
    for reading in read_as(grid, exchange):
        np.testing.assert_allclose(reading.centre, grid.centre)
    assert all(len(read_as(Grid((5, 5, 5), np.eye(4)), one)) == 1 for one in orientations())
