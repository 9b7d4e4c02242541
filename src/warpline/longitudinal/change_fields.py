"""The deformable maps from the middle to every time point: exponentials of velocity fields whose mean is zero.

Every pair of time points is registered both ways on the grid of the middle, and half the difference of the two fields
taken: what one way prefers, the other one cancels. The field of a time point is the mean of those that lead to it from
all (itself included), which is the least-squares solution of ``w_j - w_i = v_ij`` with a mean of zero. Images are
compared with each other and never with their mean, whose noise is theirs in part and would hold them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.errors import InputError
from warpline.images import Image
from warpline.longitudinal.rigid_middle import worse_outcome
from warpline.recipe import Recipe
from warpline.registration import Alignment, ProgressCallback, align
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid


@dataclass(frozen=True)
class ChangePair:
    """How the change between two time points was found.

    Parameters
    ----------
    numbers : (int, int)
        Of the two.
    disagreement : float
        99th percentile in mm of the distance between the velocities that both ways gave.
    outcome : str
        The worse judgement of both ways.
    warnings : tuple of str
        Reasons to doubt it.
    """

    numbers: tuple[int, int]
    disagreement: float
    outcome: str
    warnings: tuple[str, ...]


Change = tuple[ChangePair, NDArray[np.float32]]
"""How a change was found, and its velocity from the first to the second: (3, I, J, K), mm, world axes."""


def register_changes(
    images: Sequence[Image],
    masks: Sequence[Image | None],
    recipe: Recipe,
    backend: Backend,
    progress: ProgressCallback | None = None,
) -> Iterator[Change]:
    """Register every pair of images both ways.

    Parameters
    ----------
    images : sequence of Image
        The time points on the grid of the middle, interpolated alike.
    masks : sequence of Image or None
        Where they count, one for each, on that grid.
    recipe : Recipe
        Deformable, see `warpline.longitudinal.recipes`.
    backend : Backend
        Where it runs.
    progress : callable, optional
        As for `warpline.registration.align`.

    Raises
    ------
    InputError
        When a pair has no velocity field.
    """
    for numbers in combinations(range(len(images)), 2):
        sides = [(images[number], masks[number]) for number in numbers]
        yield _register(numbers, sides, recipe, backend, progress)


def velocities_of(changes: Iterable[Change], grid: Grid, count: int) -> tuple[list[ChangePair], list[Displacement]]:
    """How changes were found, and velocity fields from the middle to every time point in mm.

    The sum of the fields is zero but for rounding.

    Parameters
    ----------
    changes : iterable of (ChangePair, (3, I, J, K))
        Of every two time points, once; each field is added and forgotten.
    grid : Grid
        Of the middle.
    count : int
        Of the time points.
    """
    fields = [np.zeros((3, *grid.shape), np.float32) for _ in range(count)]
    pairs = []
    for pair, velocity in changes:
        first, second = pair.numbers
        share = velocity / np.float32(count)
        fields[second] += share
        fields[first] -= share
        pairs.append(pair)
    return pairs, [Displacement(field, grid) for field in fields]


def _register(
    numbers: tuple[int, int],
    sides: Sequence[tuple[Image, Image | None]],
    recipe: Recipe,
    backend: Backend,
    progress: ProgressCallback | None,
) -> Change:
    first, second = sides
    found = [_align(*way, recipe, backend, progress) for way in ((first, second), (second, first))]
    there, back = (_velocity(one) for one in found)
    apart = np.sqrt(np.square(there + back).sum(axis=0))
    warnings = tuple(f"{one.moving.name} on {one.fixed.name}: {text}" for one in found for text in one.warnings)
    pair = ChangePair(numbers, float(np.percentile(apart, 99)), worse_outcome(*found), warnings)
    return pair, (there - back) / np.float32(2)


def _align(
    fixed: tuple[Image, Image | None],
    moving: tuple[Image, Image | None],
    recipe: Recipe,
    backend: Backend,
    progress: ProgressCallback | None,
) -> Alignment:
    identity = Affine(np.eye(4), fixed[0].grid.flat)
    return align(
        fixed[0], moving[0], recipe, backend=backend, progress=progress,
        fixed_mask=fixed[1], moving_mask=moving[1], initial=identity, alike=True,
    )  # fmt: skip


def _velocity(found: Alignment) -> NDArray[np.float32]:
    if found.velocity is None:
        raise InputError(
            f"{found.moving.name} and {found.fixed.name} differ too much for a smooth velocity field; look at them, or "
            "smooth more with --set syn.total_sigma=1"
        )
    return found.velocity.field
