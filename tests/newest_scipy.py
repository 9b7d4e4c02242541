"""SciPy's interpolation as version 1.18 counts it, whichever version is installed: what ours must equal.

Before 1.16 `affine_transform` added the offset to a coordinate last; before 1.18 the spline filter had the last term of
a sum wrong on short lines that are reflected.
"""

from __future__ import annotations

import numpy as np
import scipy
from scipy import ndimage

import oracles

VERSION = tuple(map(int, scipy.__version__.split(".")[:2]))


def is_replaced(order, mode, prefilter=True):
    """Whether a filter of ours stands in for that of the installed version."""
    return VERSION < (1, 18) and prefilter and order > 1 and mode in ("reflect", "grid-mirror")


def map_coordinates(array, places, output=None, order=3, mode="constant", cval=0.0, prefilter=True):
    if is_replaced(order, mode, prefilter):
        output = array.dtype if output is None else output
        array, prefilter = oracles.spline_coefficients(array, order, mode), False
    return ndimage.map_coordinates(array, places, output, order, mode, cval, prefilter)


def affine_transform(array, matrix, offset=0.0, shape=None, output=None, order=3, mode="constant", cval=0.0):
    shape = shape or array.shape
    if VERSION >= (1, 18) or np.ndim(matrix) == 1:
        return ndimage.affine_transform(array, matrix, offset, shape, output, order, mode, cval)
    if matrix.shape[1] > array.ndim:
        matrix, offset = matrix[: array.ndim, :-1], matrix[: array.ndim, -1]
    places = np.empty((array.ndim, *shape))
    for row, start, at in zip(matrix, np.broadcast_to(offset, array.ndim), places, strict=True):
        at[...] = start
        for step, index in zip(row, np.indices(shape), strict=True):
            at += step * index
    return map_coordinates(array, places, output, order, mode, cval)
