"""Fields on grids of half as many voxels, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from warpline.backends.numba_settings import KERNEL

f32 = np.float32


@njit(**KERNEL)
def halve(first: Any, last: Any, volumes: Any, out: Any) -> None:
    """See `warpline.backends.interface.Backend.halve`; a slab is a plane of `out` (C, I, J, K)."""
    ni, nj, nk = volumes.shape[1:]
    pairs = nk // 2
    for i in range(first, last):
        for c in range(out.shape[0]):
            near, far = volumes[c, 2 * i], volumes[c, min(2 * i + 1, ni - 1)]
            for j in range(out.shape[2]):
                j0, j1, row = 2 * j, min(2 * j + 1, nj - 1), out[c, i, j]
                for k in range(pairs):
                    even = near[j0, 2 * k] + near[j1, 2 * k] + far[j0, 2 * k] + far[j1, 2 * k]
                    odd = near[j0, 2 * k + 1] + near[j1, 2 * k + 1] + far[j0, 2 * k + 1] + far[j1, 2 * k + 1]
                    row[k] = f32(0.125) * (even + odd)
                for k in range(pairs, row.shape[0]):
                    row[k] = f32(0.25) * (near[j0, 2 * k] + near[j1, 2 * k] + far[j0, 2 * k] + far[j1, 2 * k])


@njit(**KERNEL)
def add_doubled(first: Any, last: Any, coarse: Any, weight: Any, out: Any, largest: Any, line: Any) -> None:
    """See `warpline.backends.interface.Backend.add_doubled`; `largest` (I,) gets the largest square of every slab.

    Works in `line` (K of `coarse` + 2,). The nearer of two coarse voxels on an axis weighs 3/4.
    """
    mi, mj, mk = coarse.shape[1:]
    nj, nk = out.shape[2:]
    for i in range(first, last):
        i0 = i // 2
        i1 = min(max(i0 - 1 + 2 * (i % 2), 0), mi - 1)
        for c in range(out.shape[0]):
            near, far = coarse[c, i0], coarse[c, i1]
            for j in range(nj):
                j0 = j // 2
                j1 = min(max(j0 - 1 + 2 * (j % 2), 0), mj - 1)
                for k in range(mk):
                    total = f32(9) * near[j0, k] + f32(3) * (near[j1, k] + far[j0, k]) + far[j1, k]
                    line[k + 1] = weight * f32(0.015625) * total
                line[0], line[mk + 1] = line[1], line[mk]
                row = out[c, i, j]
                for k in range(nk // 2):
                    row[2 * k] += f32(3) * line[k + 1] + line[k]
                    row[2 * k + 1] += f32(3) * line[k + 1] + line[k + 2]
                if nk % 2 == 1:
                    row[nk - 1] += f32(3) * line[mk] + line[mk - 1]
        most = f32(0)
        for j in range(nj):
            for k in range(nk):
                square = f32(0)
                for c in range(out.shape[0]):
                    square += out[c, i, j, k] * out[c, i, j, k]
                most = max(most, square)
        largest[i] = most
