"""Labels of several atlases on one grid become one: the table of ways, and the two that weigh voxel by voxel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpline.labelling.votes import Floats, winners

Codes = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Candidates:
    """What atlases say about an image, on its grid.

    Parameters
    ----------
    image : (I, J, K) float32
        What is to be labelled.
    atlases : (N, I, J, K) float32
        The images of the atlases, warped.
    codes : (N, I, J, K) int32
        Their labels, numbered from 0 in ascending order.
    threads : int
        CPU threads to use.
    """

    image: Floats
    atlases: Floats
    codes: Codes
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Fused:
    """One label a voxel.

    Parameters
    ----------
    codes : (I, J, K) int32
        Labels, numbered as those of the candidates.
    confidence : (I, J, K) float32
        Share of the weight that voted for it, 0 to 1.
    """

    codes: Codes
    confidence: Floats


def majority(candidates: Candidates) -> Fused:
    """Every atlas has one vote; of labels with equal votes the smallest wins.

    Parameters
    ----------
    candidates : Candidates
        Two or more atlases.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.fusion import Candidates, majority
    >>> codes = np.array([[1, 1], [1, 2], [0, 2]], np.int32).reshape(3, 1, 1, 2)
    >>> images = np.zeros((3, 1, 1, 2), np.float32)
    >>> fused = majority(Candidates(images[0], images, codes))
    >>> fused.codes.ravel(), fused.confidence.ravel().round(2)
    (array([1, 2], dtype=int32), array([0.67, 0.67], dtype=float32))
    """
    return Fused(*winners(candidates.codes, np.ones(len(candidates.codes), np.float32)))


FUSIONS: dict[str, Callable[[Candidates], Fused]] = {"majority": majority}
"""Name to function."""
