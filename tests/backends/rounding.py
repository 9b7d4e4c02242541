"""How far a float32 kernel may be from the float64 truth: stated here, once."""

from __future__ import annotations

import numpy as np

UNITS = 32
"""Allowed error in units of float32 spacing (2^-23) at the size of the numbers involved.

Each kernel adds at most a few dozen products per voxel, and each product and sum is rounded by half a unit. Errors
partly cancel, so 32 units (4e-6 of the largest number) hold with room for another order of summation, while a wrong
tap, weight, border or coordinate (an error of 1e-5 voxel times the slope) is found.
"""


def assert_rounded(actual, expected, *, scale=None, condition=1.0):
    """Assert that `actual` is `expected` to float32 rounding.

    `scale` is the size of the numbers that were added up (the largest of `expected` when None); `condition` how much
    the formula magnifies their rounding, where it divides by a difference of large sums.
    """
    actual, expected = np.asarray(actual, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    assert actual.shape == expected.shape
    size = float(np.nanmax(np.abs(expected), initial=0)) if scale is None else scale
    allowed = UNITS * 2.0**-23 * size * condition
    np.testing.assert_allclose(actual, expected, rtol=0, atol=allowed)
