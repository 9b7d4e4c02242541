"""Votes of atlases for labels: which label of a voxel has the most weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def winners(codes: NDArray[np.int32], weights: Floats) -> tuple[NDArray[np.int32], Floats]:
    """The label of every voxel with the most weight, and its share of the weight.

    Of labels with equal weights the smallest wins; where all weights are 0, that is the smallest of all, with share 0.

    Parameters
    ----------
    codes : (N, ...) int32
        The label that each atlas gives.
    weights : (N,) or (N, ...) float32
        How much each atlas counts, at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.votes import winners
    >>> winners(np.array([[7], [5], [5]], np.int32), np.array([[0.5], [0.2], [0.2]], np.float32))[0]
    array([7], dtype=int32)
    """
    weights = weights.reshape(weights.shape + (1,) * (codes.ndim - weights.ndim))
    best, most = codes[0].copy(), np.full(codes.shape[1:], -1.0, np.float32)
    for code in codes:
        votes = np.zeros(codes.shape[1:], np.float32)
        for other, weight in zip(codes, weights, strict=True):
            votes += np.where(other == code, weight, np.float32(0))
        better = (votes > most) | ((votes == most) & (code < best))
        best[better], most[better] = code[better], votes[better]
    total = np.broadcast_to(weights.sum(axis=0), most.shape)
    return best, np.divide(most, total, out=np.zeros_like(most), where=total > 0)
