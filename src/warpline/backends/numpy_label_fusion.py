"""Steps of joint label fusion in NumPy, the specification of the compiled ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends.arrays import Shape

_AT_ONCE = 4096
"""Places whose patches are in memory at once."""
FLAT = 1e-6
"""Standard deviation of a patch, as a share of that of the image, below which its values say nothing."""


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
    errors = np.empty((len(places), len(atlases), len(atlases)), np.float32)
    flat, patch = FLAT * float(image.std()), _patch(radius)
    for part in _parts(len(places)):
        centres = places[part][:, None]
        target = _standardised(_values(image, centres + patch), flat)
        seen = []
        for atlas, offset in zip(atlases, offsets, strict=True):
            shift = offset[tuple(places[part].T)].astype(np.int32)[:, None]
            seen.append(np.abs(target - _standardised(_values(atlas, centres + shift + patch), flat)))
        error = np.stack(seen, axis=1)
        errors[part] = np.einsum("mip,mjp->mij", error, error) / len(patch)
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
    shape, patch = np.array(codes.shape[1:]), _patch(radius)
    row = rows_of(places, codes.shape[1:])
    best, share = np.empty(len(places), np.int32), np.empty(len(places), np.float32)
    for part in _parts(len(places)):
        centres = places[part][:, None] - patch
        known = ((centres >= 0) & (centres < shape)).all(axis=-1)
        at = tuple(np.moveaxis(np.clip(centres, 0, shape - 1), -1, 0))
        known &= row[at] >= 0
        votes = np.zeros((len(centres), count))
        for number, (labels, offset) in enumerate(zip(codes, offsets, strict=True)):
            seen = _values(labels, places[part][:, None] + offset[at])
            weight = np.where(known, weights[np.maximum(row[at], 0), number], 0)
            np.add.at(votes, (np.arange(len(centres))[:, None], seen), weight)
        best[part] = votes.argmax(axis=1)
        total = votes.sum(axis=1)
        share[part] = np.divide(votes.max(axis=1), total, out=np.zeros_like(total), where=total > 0)
    return best, share


def rows_of(places: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """The row of `places` that each voxel of a volume is, -1 where it is none."""
    row = np.full(shape, -1, np.int32)
    row[tuple(places.T)] = np.arange(len(places), dtype=np.int32)
    return row


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE))


def _patch(radius: Shape) -> NDArray[np.int32]:
    return np.array(list(product(*(range(-r, r + 1) for r in radius))), np.int32)


def _values(volume: NDArray[Any], where: NDArray[np.int32]) -> NDArray[Any]:
    """Values at voxels (..., 3), those outside taken from the nearest one inside."""
    taken: NDArray[Any] = volume[tuple(np.moveaxis(np.clip(where, 0, np.array(volume.shape) - 1), -1, 0))]
    return taken


def _standardised(values: NDArray[np.float32], flat: float) -> NDArray[np.float64]:
    """Patches (M, P) with mean 0 and standard deviation 1; of a constant one all is 0."""
    centred = values - values.mean(axis=1, keepdims=True, dtype=np.float64)
    deviation = np.sqrt(np.mean(centred**2, axis=1, keepdims=True))
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > flat)
