"""Signed permutations of voxel axes."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.registration.header_check.orientations import (
    describe,
    is_mirrored,
    nearest_orientation,
    orientations,
)
from warpline.space.grid import Grid


@pytest.mark.parametrize(("in_plane", "count"), [(False, 48), (True, 8)])
def test_every_orientation_is_there_once(in_plane, count):
    every = orientations(in_plane=in_plane)
    assert len({one.tobytes() for one in every}) == len(every) == count
    assert (every[0] == np.eye(3)).all() and sum(map(is_mirrored, every)) == count // 2


def test_stretch_and_small_rotations_do_not_matter():
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    small = np.array([[0.94, -0.34, 0], [0.34, 0.94, 0], [0, 0, 1]])
    assert (nearest_orientation(small @ quarter @ np.diag([3.0, 1.0, 0.5])) == quarter).all()


def test_words_name_the_axes_of_the_header():
    grid = Grid((4, 5, 6), np.array([[0, 0, -2.0, 0], [3.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]]))
    assert describe(np.diag([1.0, 1, -1]), grid) == "its axis k (left-right by the header) is flipped"
    turned = describe(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), grid)
    assert turned.startswith("its axis i runs along inferior-superior, by the header posterior-anterior; its axis j")
    assert turned.endswith("runs along posterior-anterior, flipped, by the header inferior-superior")
    assert describe(np.eye(3), grid) == "its axes run as its header has them"
