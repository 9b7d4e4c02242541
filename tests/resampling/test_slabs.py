"""Slabs along the first axis."""

from __future__ import annotations

import pytest

from warpline.resampling.slabs import on_threads, slabs


@pytest.mark.parametrize(("shape", "most", "count"), [((10, 4, 4), 32, 5), ((10, 4, 4), 1, 10), ((3,), 100, 1)])
def test_slabs_cover_the_axis_once(shape, most, count):
    parts = list(slabs(shape, most))
    assert [index for part in parts for index in range(*part.indices(shape[0]))] == list(range(shape[0]))
    assert len(parts) == count


def test_every_slab_is_worked_on_and_errors_come_through():
    seen = []
    on_threads(seen.append, slabs((7, 2), 4), 2)
    assert sorted(part.start for part in seen) == [0, 2, 4, 6]
    with pytest.raises(ZeroDivisionError):
        on_threads(lambda part: 1 // part.start, slabs((7, 2), 4), 2)
