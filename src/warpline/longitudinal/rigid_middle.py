"""The rigid maps from a middle to every time point, which prefer none of them.

Every pair is registered both ways, and the two maps are averaged on the way from one to the other, so that swapped
images give the inverse. Where there are more than two time points, the maps of all pairs are made consistent by least
squares: rotations by the eigenvectors of the matrix of all of them (Singer 2011, doi:10.1016/j.acha.2010.02.001),
then positions. The middle is where the mean of rotations is none, and the mean of positions that of the images: no
image is nearer to it for being given first (Reuter and Fischl 2011, doi:10.1016/j.neuroimage.2011.02.076).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm, logm
from scipy.spatial.transform import Rotation

from warpline.backends import Backend
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.recipe import Recipe
from warpline.registration import Alignment, ProgressCallback, align
from warpline.registration.judgement import OUTCOMES
from warpline.space import Affine
from warpline.space.grid import Matrix, apply_affine

RADIUS = 80.0
"""Distance in mm from the centre of a head at which maps are compared (Jenkinson 1999)."""

CERTAINLY_WRONG = 5.0
"""Distance in mm between the maps that both ways gave above which one of them is certainly wrong."""


@dataclass(frozen=True, eq=False)
class RigidPair:
    """What is known of a pair of time points, the first fixed and the second moving.

    Parameters
    ----------
    numbers : (int, int)
        Of the two.
    matrix : (4, 4)
        World of the first to world of the second, RAS+ mm: the mean of both ways.
    disagreement : float
        Distance in mm between the maps that both ways gave, root mean square within `RADIUS`.
    outcome : str
        The worse judgement of both ways; failed where they are further apart than `CERTAINLY_WRONG`.
    warnings : tuple of str
        Reasons to doubt it.
    """

    numbers: tuple[int, int]
    matrix: Matrix
    disagreement: float
    outcome: str = "fine"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RigidMiddle:
    """The middle, and where the time points are in it.

    Parameters
    ----------
    affines : tuple of Affine
        World of the middle to world of every time point, RAS+ mm.
    centre : (3,)
        Point of the middle that rotations leave, in mm.
    pairs : tuple of RigidPair
        What it was made from.
    inconsistency : float
        Largest distance in mm, root mean square within `RADIUS`, between the map of a pair and that through the middle.
    """

    affines: tuple[Affine, ...]
    centre: NDArray[np.float64]
    pairs: tuple[RigidPair, ...]
    inconsistency: float


def register_pairs(
    images: Sequence[Image],
    masks: Sequence[Image | None],
    recipe: Recipe,
    backend: Backend,
    progress: ProgressCallback | None = None,
) -> Iterator[RigidPair]:
    """Register every pair of images both ways.

    Parameters
    ----------
    images : sequence of Image
        Two or more.
    masks : sequence of Image or None
        Where they count (voxels other than 0), one for each.
    recipe : Recipe
        Rigid.
    backend : Backend
        Where it runs.
    progress : callable, optional
        As for `warpline.registration.align`.
    """
    for first, second in combinations(range(len(images)), 2):
        there, back = (
            align(
                images[fixed], images[moving], recipe, backend=backend, progress=progress,
                fixed_mask=masks[fixed], moving_mask=masks[moving],
            )
            for fixed, moving in ((first, second), (second, first))
        )  # fmt: skip
        yield _joined((first, second), there, back, images)


def _joined(numbers: tuple[int, int], there: Alignment, back: Alignment, images: Sequence[Image]) -> RigidPair:
    first, second = numbers
    matrix, other = there.affine.matrix, back.inverse.parts[0]
    assert isinstance(other, Affine)
    names = images[first].name, images[second].name
    ways = ((names, there), (names[::-1], back))
    apart = distance(matrix, other.matrix, centre_of(images[first]))
    return RigidPair(
        numbers,
        halfway(matrix, other.matrix),
        apart,
        worse_outcome(there, back) if apart <= CERTAINLY_WRONG else OUTCOMES[-1],
        tuple(f"{way[1]} on {way[0]}, rigid: {one}" for way, found in ways for one in found.warnings),
    )


def worse_outcome(*found: Alignment) -> str:
    """The worst judgement of some registrations."""
    return max((one.judgement.outcome for one in found), key=OUTCOMES.index)


def halfway(first: Matrix, second: Matrix) -> Matrix:
    """The map in the middle of two rigid ones (4, 4): ``A (A^-1 B)^(1/2)``; of their inverses it is the inverse."""
    root: Matrix = first @ np.real(expm(logm(np.linalg.inv(first) @ second) / 2))
    return as_rigid(root)


def as_rigid(matrix: Matrix) -> Matrix:
    """The nearest rigid map, of one that is rigid but for rounding (4, 4)."""
    rigid = np.eye(4)
    u, _, v = np.linalg.svd(matrix[:3, :3])
    rigid[:3, :3], rigid[:3, 3] = u @ v, matrix[:3, 3]
    return rigid


def distance(first: Matrix, second: Matrix, centre: NDArray[np.float64]) -> float:
    """Root mean square distance in mm of two affine maps (4, 4) within `RADIUS` around a point (3,)."""
    gap = first - second
    middle = gap[:3, :3] @ centre + gap[:3, 3]
    return float(np.sqrt(RADIUS**2 / 5 * np.square(gap[:3, :3]).sum() + middle @ middle))


def centre_of(image: Image) -> NDArray[np.float64]:
    """Centre of what an image shows, (3,) in world mm."""
    inside = np.argwhere(foreground_mask(image))
    return apply_affine(image.affine, inside.mean(axis=0)) if len(inside) else image.grid.centre


def find_middle(pairs: Sequence[RigidPair], images: Sequence[Image]) -> RigidMiddle:
    """The middle of all pairs.

    Parameters
    ----------
    pairs : sequence of RigidPair
        Every two of the images, once.
    images : sequence of Image
        The time points.
    """
    count = len(images)
    rotations = _rotations(pairs, count)
    positions = _positions(pairs, np.stack([centre_of(image) for image in images]))
    centre: NDArray[np.float64] = positions.mean(axis=0)
    matrices = np.tile(np.eye(4), (count, 1, 1))
    matrices[:, :3, :3] = rotations
    matrices[:, :3, 3] = positions - rotations @ centre
    apart = [distance(one.matrix, _through(matrices, *one.numbers), centre) for one in pairs]
    flat = all(image.grid.flat for image in images)
    affines = tuple(Affine(matrix).flattened() if flat else Affine(matrix) for matrix in matrices)
    return RigidMiddle(affines, centre, tuple(pairs), max(apart))


def _through(matrices: NDArray[np.float64], first: int, second: int) -> Matrix:
    whole: Matrix = matrices[second] @ np.linalg.inv(matrices[first])
    return whole


def _rotations(pairs: Sequence[RigidPair], count: int) -> NDArray[np.float64]:
    """Rotations (N, 3, 3) from the middle to every image, whose mean is none."""
    blocks = np.tile(np.eye(3), (count, count, 1, 1))
    for one in pairs:
        first, second = one.numbers
        blocks[second, first], blocks[first, second] = one.matrix[:3, :3], one.matrix[:3, :3].T
    whole = blocks.swapaxes(1, 2).reshape(3 * count, 3 * count)
    found = np.linalg.eigh(whole)[1][:, -3:].reshape(count, 3, 3)
    u, _, v = np.linalg.svd(found)
    rotations = u @ v
    rotations[np.linalg.det(rotations) < 0, :, 0] *= -1
    mean = Rotation.from_matrix(rotations).mean().as_matrix()
    centred: NDArray[np.float64] = rotations @ mean.T
    return centred


def _positions(pairs: Sequence[RigidPair], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where one point of the middle is in every image (N, 3), mm; their mean is that of `centres` (N, 3)."""
    count = len(centres)
    system, known = np.zeros((3 * len(pairs) + 3, 3 * count)), np.zeros(3 * len(pairs) + 3)
    for row, one in enumerate(pairs):
        first, second = one.numbers
        rows = slice(3 * row, 3 * row + 3)
        system[rows, 3 * second : 3 * second + 3] = np.eye(3)
        system[rows, 3 * first : 3 * first + 3] = -one.matrix[:3, :3]
        known[rows] = one.matrix[:3, 3]
    system[-3:], known[-3:] = np.tile(np.eye(3), count), centres.sum(axis=0)
    return np.asarray(np.linalg.lstsq(system, known)[0], np.float64).reshape(count, 3)
