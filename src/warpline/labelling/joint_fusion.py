"""Joint label fusion: atlases that err alike count less together (Wang et al. 2013, doi:10.1109/TPAMI.2012.143).

The weights of a voxel minimise the expected error of the vote, ``w = M^-1 1 / (1' M^-1 1)``. `M` says how likely two
atlases are both wrong there: the mean product of the errors of their patches, to a power. Before that, each atlas may
move its patch to where it correlates most with that of the image.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, uniform_filter

from warpline.backends.label_fusion import label_fusion
from warpline.labelling.candidates import Candidates, Floats, Fused
from warpline.space.grid import Shape

_AT_ONCE = 2**18
"""Matrices that are solved at once."""
_CLEARLY = 1e-5
"""How much more a patch must correlate to be preferred to one nearer by: else noise moves patches where all is flat."""
_NOISE = 0.1
"""Standard deviation added to that of every patch, as a share of that of the image where atlases disagree.

More, and patches of low contrast do not move; less, and they follow noise."""


@dataclass(frozen=True)
class JointOptions:
    """Settings of joint label fusion; the defaults did best on a brain with voxels of 2 mm, see docs/labelling.md.

    Parameters
    ----------
    radius : int
        Of the patches that are compared and that vote, in voxels. Larger, fewer wrong patches look right; smaller, thin
        structures are kept.
    search : int
        How far an atlas may move a patch, in voxels along each axis. Larger, worse registrations are mended; smaller,
        neighbours are mistaken less.
    beta : float
        Power of the errors: larger, the best atlases count more.
    alpha : float
        Added to the diagonal of their matrix: larger, weights are more alike, and noise counts less.
    """

    radius: int = 1
    search: int = 2
    beta: float = 2.0
    alpha: float = 0.1


def joint(candidates: Candidates, options: JointOptions | None = None) -> Fused:
    """Labels voted for with the weights of joint label fusion, patch by patch.

    Where all atlases agree their label is taken, with confidence 1.

    Parameters
    ----------
    candidates : Candidates
        Two or more atlases.
    options : JointOptions, optional
        The defaults when None.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.candidates import Candidates
    >>> from warpline.labelling.joint_fusion import joint
    >>> image = np.random.default_rng(0).random((9, 9, 9), dtype=np.float32)
    >>> other = np.random.default_rng(1).random((9, 9, 9), dtype=np.float32)
    >>> codes = np.stack([np.full(image.shape, one, np.int32) for one in (1, 0, 0)])
    >>> fused = joint(Candidates(image, np.stack([image, other, other]), codes))
    >>> bool((fused.codes == 1).mean() > 0.9)  # two that err alike do not outvote one that is right
    True
    """
    asked = options or JointOptions()
    shape, codes = candidates.image.shape, candidates.codes
    radius, search = _along(shape, asked.radius), _along(shape, asked.search)
    fused = Fused(codes[0].copy(), np.ones(shape, np.float32))
    disputed = (codes != codes[0]).any(axis=0)
    if not disputed.any():
        return fused
    operations = label_fusion(candidates.backend)
    with ThreadPoolExecutor(candidates.threads) as pool:
        found = [
            pool.submit(best_offsets, candidates.image, one, radius, search, inside=disputed)
            for one in candidates.atlases
        ]
        offsets = np.stack([one.result() for one in found])
    places = _voxels(binary_dilation(disputed, np.ones([2 * r + 1 for r in radius])))
    threads = candidates.threads
    errors = operations.joint_errors(
        candidates.image, candidates.atlases, offsets, places, radius=radius, threads=threads
    )
    weights = joint_weights(errors, asked.beta, asked.alpha)
    count = int(codes.max()) + 1
    best, share = operations.patch_votes(codes, offsets, weights, places, radius=radius, count=count, threads=threads)
    voted = disputed[tuple(places.T)]
    at = tuple(places[voted].T)
    fused.codes[at], fused.confidence[at] = best[voted], share[voted]
    return fused


def joint_weights(errors: Floats, beta: float, alpha: float) -> Floats:
    """The weights of every atlas, (M, N), at least 0 and 1 together, from joint errors (M, N, N).

    Negative weights, which subtract what atlases have in common, are set to 0: a vote is none.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.joint_fusion import joint_weights
    >>> joint_weights(np.array([[[1, 0, 0], [0, 1, 1], [0, 1, 1]]], np.float32), beta=1.0, alpha=1e-3).round(2)
    array([[0.5 , 0.25, 0.25]], dtype=float32)
    """
    count = errors.shape[1]
    weights = np.empty(errors.shape[:2], np.float32)
    for start in range(0, len(errors), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        matrix = np.power(errors[part], beta, dtype=np.float64) + alpha * np.eye(count)
        solved = np.maximum(np.linalg.solve(matrix, np.ones((count, 1)))[..., 0], 0)
        weights[part] = solved / solved.sum(axis=1, keepdims=True)
    return weights


def best_offsets(
    image: Floats, atlas: Floats, radius: Shape, search: Shape, *, inside: NDArray[np.bool_] | None = None
) -> NDArray[np.int8]:
    """How far the patch of an atlas lies that correlates most with that of the image, (I, J, K, 3) voxels.

    Parameters
    ----------
    image, atlas : (I, J, K) float32
        On one grid.
    radius : (3,) int
        Of the patches, in voxels.
    search : (3,) int
        Largest offsets along each axis. Of equal patches the nearest one is taken.
    inside : (I, J, K) bool, optional
        Where the contrast of the images is measured; everywhere when None.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.labelling.joint_fusion import best_offsets
    >>> atlas = np.random.default_rng(0).random((7, 7, 7), dtype=np.float32)
    >>> best_offsets(np.roll(atlas, 1, 0), atlas, (1, 1, 1), (1, 1, 1))[3, 3, 3]
    array([-1,  0,  0], dtype=int8)
    """
    size = [2 * r + 1 for r in radius]
    offsets = np.zeros((*image.shape, 3), np.int8)
    if not any(search):
        return offsets
    target, target_mean, target_variance = _moments(image, size, inside)
    sides = [(reach, reach) for reach in search]
    moved = [np.pad(one, sides, mode="edge") for one in _moments(atlas, size, inside)]
    best = np.full(image.shape, -np.inf, np.float32)
    for offset in sorted(product(*(range(-s, s + 1) for s in search)), key=lambda one: sum(d * d for d in one)):
        window = tuple(slice(s + d, s + d + n) for s, d, n in zip(search, offset, image.shape, strict=True))
        other, mean, variance = (one[window] for one in moved)
        covariance = uniform_filter(target * other, size, mode="nearest") - target_mean * mean
        correlation = covariance / np.sqrt(target_variance * variance)
        better = correlation > best + _CLEARLY
        best[better], offsets[better] = correlation[better], offset
    return offsets


def _moments(volume: Floats, size: list[int], inside: NDArray[np.bool_] | None) -> tuple[Floats, Floats, Floats]:
    """A volume around its mean, and the mean and variance of the patch of each voxel."""
    centred = np.asarray(volume - volume.mean(dtype=np.float64), dtype=np.float32)  # sums of squares keep their digits
    mean = uniform_filter(centred, size, mode="nearest")
    variance = np.maximum(uniform_filter(centred * centred, size, mode="nearest") - mean * mean, 0)
    noise = _NOISE**2 * float((centred if inside is None else centred[inside]).var())
    return centred, mean, np.asarray(variance + max(noise, np.finfo(np.float32).tiny), dtype=np.float32)


def _along(shape: tuple[int, ...], reach: int) -> Shape:
    """A radius along each axis: none along one of a single voxel."""
    first, second, third = (reach if n > 1 else 0 for n in shape)
    return first, second, third


def _voxels(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    return np.ascontiguousarray(np.argwhere(mask), dtype=np.int32)
