"""Steps of joint label fusion in NumPy, the specification of the compiled ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from warpline.backends.arrays import Shape
from warpline.backends.label_fusion import NEARER, offsets_by_distance

_AT_ONCE = 4096
"""Places whose patches are in memory at once."""


def best_offsets(
    image: NDArray[np.float32],
    atlas: NDArray[np.float32],
    places: NDArray[np.bool_],
    *,
    radius: Shape,
    search: Shape,
    count: int,
    threads: int = 1,
) -> NDArray[np.int8]:
    """See `warpline.backends.label_fusion.LabelFusion.best_offsets`."""
    reach = [r + s for r, s in zip(radius, search, strict=True)]
    fixed = np.pad(image, [(r, r) for r in radius], mode="edge")
    moving = np.pad(atlas, [(r, r) for r in reach], mode="edge")
    least = np.full((count, *image.shape), np.inf, np.float32)
    found = np.zeros((count, *image.shape, 3), np.int8)
    for offset in offsets_by_distance(search):
        window = tuple(slice(s + d, s + d + n) for s, d, n in zip(search, offset, fixed.shape, strict=True))
        difference = _patch_means((fixed - moving[window]) ** 2, radius) + np.float32(NEARER * (offset**2).sum())
        carried = np.broadcast_to(offset.astype(np.int8), found.shape[1:])
        for rank in range(count):
            better = difference < least[rank]
            least[rank], difference = np.where(better, (difference, least[rank]), (least[rank], difference))
            found[rank], carried = np.where(better[..., None], (carried, found[rank]), (found[rank], carried))
    found[:, ~places] = 0
    return found


def joint_weights(
    image: NDArray[np.float32],
    atlases: NDArray[np.float32],
    offsets: NDArray[np.int8],
    places: NDArray[np.int32],
    *,
    radius: Shape,
    flat: float,
    beta: float,
    alpha: float,
    threads: int = 1,
) -> NDArray[np.float32]:
    """See `warpline.backends.label_fusion.LabelFusion.joint_weights`."""
    patch, per_atlas = _patch(radius), offsets.shape[1]
    weights = np.empty((len(places), len(atlases), per_atlas), np.float32)
    for part in _parts(len(places)):
        centres = places[part][:, None]
        target = _standardised(_values(image, centres + patch), flat)
        errors = []
        for atlas, of_atlas in zip(atlases, offsets, strict=True):
            for offset in of_atlas:
                shift = offset[tuple(places[part].T)].astype(np.int32)[:, None]
                errors.append(np.abs(target - _standardised(_values(atlas, centres + shift + patch), flat)))
        products = np.einsum("imp,jmp->mij", errors, errors) / len(patch)
        solved = _solved(products**beta + alpha * np.eye(len(errors)))
        weights[part] = solved.reshape(-1, len(atlases), per_atlas)
    return weights


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
        for atlas, rank in np.ndindex(offsets.shape[:2]):
            seen = _values(codes[atlas], places[part][:, None] + offsets[atlas, rank][at])
            weight = np.where(known, weights[np.maximum(row[at], 0), atlas, rank], 0)
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


def _patch_means(padded: NDArray[np.float32], radius: Shape) -> NDArray[np.float32]:
    """Mean over the patch of each voxel, from a volume with a border of `radius`."""
    windows = sliding_window_view(padded, [2 * r + 1 for r in radius])
    means: NDArray[np.float32] = windows.mean(axis=(3, 4, 5), dtype=np.float32)
    return means


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


def _solved(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (M, Q) of matrices (M, Q, Q)."""
    count = matrices.shape[1]
    positive = np.maximum(np.linalg.solve(matrices, np.ones((count, 1)))[..., 0], 0)
    total = positive.sum(axis=1, keepdims=True)
    return np.divide(positive, total, out=np.full_like(positive, 1 / count), where=total > 0)
