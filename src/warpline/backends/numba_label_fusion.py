"""Steps of joint label fusion, compiled: voxel by voxel, on threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from warpline.backends.arrays import Shape
from warpline.backends.numba_settings import INLINE, KERNEL
from warpline.backends.numba_threads import in_slabs
from warpline.backends.numpy_label_fusion import FLAT, rows_of

f32, f64 = np.float32, np.float64


def joint_errors(
    image: NDArray[np.float32],
    atlases: NDArray[np.float32],
    offsets: NDArray[np.int8],
    places: NDArray[np.int32],
    *,
    radius: Shape,
    threads: int = 1,
) -> NDArray[np.float32]:
    """See `warpline.backends.label_fusion.LabelFusion.joint_errors`."""
    count, size = len(atlases), int(np.prod([2 * r + 1 for r in radius]))
    errors = np.empty((len(places), count, count), f32)
    given = image, atlases, offsets, places, radius, FLAT * float(image.std()), errors
    in_slabs(_joint_errors, len(places), threads, *given, scratch=lambda: (np.empty((count + 1, size), f32),))
    return errors


def patch_votes(
    codes: NDArray[np.int32],
    offsets: NDArray[np.int8],
    weights: NDArray[np.float32],
    places: NDArray[np.int32],
    *,
    radius: Shape,
    count: int,
    threads: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """See `warpline.backends.label_fusion.LabelFusion.patch_votes`."""
    best, share = np.empty(len(places), np.int32), np.empty(len(places), f32)
    given = codes, offsets, weights, places, rows_of(places, codes.shape[1:]), radius, best, share
    in_slabs(_patch_votes, len(places), threads, *given, scratch=lambda: (np.empty(count, f64),))
    return best, share


@njit(**INLINE)
def _standardise(volume: Any, i: Any, j: Any, k: Any, radius: Any, flat: Any, out: Any) -> None:
    """The patch around a voxel with mean 0 and standard deviation 1; all 0 where it is constant."""
    shape, size = volume.shape, len(out)
    at, total = 0, f64(0)
    for a in range(i - radius[0], i + radius[0] + 1):
        for b in range(j - radius[1], j + radius[1] + 1):
            for c in range(k - radius[2], k + radius[2] + 1):
                out[at] = volume[
                    min(max(a, 0), shape[0] - 1), min(max(b, 0), shape[1] - 1), min(max(c, 0), shape[2] - 1)
                ]  # fmt: skip
                total += out[at]
                at += 1
    mean, squares = total / size, f64(0)
    for at in range(size):
        squares += (out[at] - mean) ** 2
    deviation = np.sqrt(squares / size)
    scale = f64(1) / deviation if deviation > flat else f64(0)
    for at in range(size):
        out[at] = f32((out[at] - mean) * scale)


@njit(**KERNEL)
def _joint_errors(
    first: Any, last: Any, image: Any, atlases: Any, offsets: Any, places: Any, radius: Any, flat: Any, errors: Any,
    patches: Any,
) -> None:  # fmt: skip
    """Row 0 of the scratch `patches` is the patch of the image, row 1 + n the error of atlas n."""
    count, size = len(atlases), patches.shape[1]
    for place in range(first, last):
        i, j, k = places[place]
        _standardise(image, i, j, k, radius, flat, patches[0])
        for n in range(count):
            shift = offsets[n, i, j, k]
            _standardise(atlases[n], i + shift[0], j + shift[1], k + shift[2], radius, flat, patches[n + 1])
            for at in range(size):
                patches[n + 1, at] = abs(patches[0, at] - patches[n + 1, at])
        for n in range(count):
            for m in range(n, count):
                product = f32(0)
                for at in range(size):
                    product += patches[n + 1, at] * patches[m + 1, at]
                errors[place, n, m] = product / size
                errors[place, m, n] = product / size


@njit(**KERNEL)
def _patch_votes(
    first: Any, last: Any, codes: Any, offsets: Any, weights: Any, places: Any, rows: Any, radius: Any, best: Any,
    share: Any, votes: Any,
) -> None:  # fmt: skip
    shape = rows.shape
    for place in range(first, last):
        i, j, k = places[place]
        votes[:] = 0
        for a in range(max(i - radius[0], 0), min(i + radius[0] + 1, shape[0])):
            for b in range(max(j - radius[1], 0), min(j + radius[1] + 1, shape[1])):
                for c in range(max(k - radius[2], 0), min(k + radius[2] + 1, shape[2])):
                    row = rows[a, b, c]
                    if row < 0:
                        continue
                    for n in range(len(codes)):
                        p = min(max(i + offsets[n, a, b, c, 0], 0), shape[0] - 1)
                        q = min(max(j + offsets[n, a, b, c, 1], 0), shape[1] - 1)
                        r = min(max(k + offsets[n, a, b, c, 2], 0), shape[2] - 1)
                        votes[codes[n, p, q, r]] += weights[row, n]
        winner, total = 0, f64(0)
        for code in range(len(votes)):
            total += votes[code]
            if votes[code] > votes[winner]:
                winner = code
        best[place] = winner
        share[place] = votes[winner] / total if total > 0 else f64(0)
