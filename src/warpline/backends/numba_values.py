"""Steps on single values: grey values through a curve, weighted sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from warpline.backends.numba_lanes import LANES, along_row, fma, load, moved, pointer, splat, store
from warpline.backends.numba_settings import EXACT, KERNEL_EXACT

f32 = np.float32


@njit(**KERNEL_EXACT)
def map_values(first: Any, last: Any, volume: Any, curve: Any, low: Any, scale: Any, out: Any) -> None:
    """See `warpline.backends.interface.Backend.map_values`; `scale` is the points of the curve per unit."""
    most = len(curve) - 1
    for i in range(first, last):
        for j in range(volume.shape[1]):
            for k in range(volume.shape[2]):
                place: Any = (volume[i, j, k] - low) * scale
                at: Any = min(max(place, f32(0)), f32(most))
                below: Any = min(np.int64(at), most - 1)
                out[i, j, k] = curve[below] + (at - f32(below)) * (curve[below + 1] - curve[below])


@njit(**EXACT)
def _add(k: Any, count: Any, given: Any) -> None:
    source, weight, total, start = given
    before = splat(f32(0)) if start else load(total, k, count)
    store(total, k, fma(splat(weight), load(source, k, count), before), count)


@njit(**KERNEL_EXACT)
def add_weighted(first: Any, last: Any, array: Any, weight: Any, start: Any, out: Any) -> None:
    """See `warpline.backends.interface.Backend.add_weighted`; both arrays are (rows, n)."""
    n = array.shape[1]
    for row in range(first, last):
        # the last vector of a row must not be added twice
        whole = n - n % LANES
        source, total = moved(pointer(array), row * n), moved(pointer(out), row * n)
        along_row(_add, whole, (source, weight, total, start))
        along_row(_add, n - whole, (moved(source, whole), weight, moved(total, whole), start))
