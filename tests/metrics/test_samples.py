"""Ranges of sampled values."""

from __future__ import annotations

import numpy as np

from warpline.metrics.samples import value_range


def test_ranges_are_of_what_lies_inside(backend):
    values, inside = np.array([4.0, -2.5, 7.25, 1.0], np.float32), np.array([True, False, False, True])
    for given, expected in ((None, (-2.5, 7.25)), (backend.upload(inside), (1.0, 4.0))):
        found = value_range(backend.upload(values), given)
        assert [(float(end), end.dtype) for end in found] == [(end, np.float64) for end in expected]
