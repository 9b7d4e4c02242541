"""Parts of a grid that fit into memory."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.images import Image
from warpline.resampling import INTERPOLATIONS
from warpline.resampling.parts import UNKNOWN, WORK, Need, parts
from warpline.space import Affine
from warpline.space.grid import Grid

IMAGE = Image(np.zeros((20, 30, 10), np.int16), Grid((20, 30, 10), np.eye(4)))
IDENTITY = Affine.identity()


@pytest.mark.parametrize("shape", [(1, 9, 14), (12, 1, 1), (5, 7, 6)])
@pytest.mark.parametrize("room", [0, np.inf])
def test_parts_cover_a_grid_once(numpy_backend, shape, room):
    seen = np.zeros(shape, int)
    need, count = Need.of(INTERPOLATIONS["linear"], IMAGE, 1), 0
    for part in parts(IDENTITY, Grid(shape, np.eye(4)), need, room=room, reach=2, backend=numpy_backend):
        seen[part.place] += 1
        count += 1
    assert (seen == 1).all()
    assert count == (seen.size if room == 0 else 1)


def test_the_longest_axis_is_split(numpy_backend):
    need = Need.of(INTERPOLATIONS["linear"], IMAGE, 1)
    room = need.part((1, 8, 10), 3 * 12 * 10)
    grid = Grid((1, 30, 10), np.eye(4))
    found = [part.place for part in parts(IDENTITY, grid, need, room=room, reach=2, backend=numpy_backend)]
    assert [(place[1].start, place[1].stop) for place in found] == [(0, 7), (7, 15), (15, 22), (22, 30)]
    assert all(place[2] == slice(0, 10) for place in found)


def test_a_part_reads_what_surrounds_it(numpy_backend):
    need = Need.of(INTERPOLATIONS["linear"], IMAGE, 1)
    ahead = Affine(np.eye(4) + np.outer([1, 0, 0, 0], [0, 0, 0, 5.0]))
    (part,) = parts(ahead, Grid((3, 30, 10), np.eye(4)), need, room=np.inf, reach=2, backend=numpy_backend)
    assert (part.start, part.stop) == ((3, 0, 0), (10, 30, 10))


def test_interpolations_take_what_is_known_of_them():
    assert set(WORK) <= set(INTERPOLATIONS)
    bytes_of = {name: Need.of(one, IMAGE, 1).part((8, 8, 8), 1000) for name, one in INTERPOLATIONS.items()}
    assert bytes_of["nearest"] < bytes_of["cubic"] <= Need.of(lambda *_, **__: IMAGE, IMAGE, 1).part((8, 8, 8), 1000)
    assert UNKNOWN.source == max(work.source for work in WORK.values())


def test_volumes_of_a_series_are_counted():
    series = Image(np.zeros((20, 30, 10, 5), np.int16), IMAGE.grid)
    one, five = (Need.of(INTERPOLATIONS["sinc"], image, 1).part((8, 8, 8), 1000) for image in (IMAGE, series))
    assert five - one == 4 * (3 * 4 * 512 + (2 + 4) * 1000)
