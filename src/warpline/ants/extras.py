"""ANTsPy's `multivariate_extras` and `restrict_transformation`, as pairs of images and directions of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from warpline.errors import UsageError
from warpline.registration import ImagePair
from warpline.space.grid import Grid

METRICS = {
    "CC": "local_cc",
    "mattes": "mutual_information",
    "MI": "mutual_information",
    "meansquares": "mean_squares",
}
"""ANTs' names of deformable metrics."""

ALIGNED = 0.999
"""Cosine from which on an axis of a grid lies along one of the world."""


def image_pairs(extras: Sequence[Sequence[Any]]) -> tuple[ImagePair, ...]:
    """Further pairs of images from ``(metric, fixed, moving, weight, sampling)`` each; the sampling has no effect.

    Raises
    ------
    UsageError
        When an entry has another form, or its metric is not offered.

    Examples
    --------
    >>> from warpline.ants.extras import image_pairs
    >>> image_pairs([("mattes", "t2_a.nii.gz", "t2_b.nii.gz", 0.5, 32)])[0].metric
    'mutual_information'
    """
    pairs = []
    for entry in extras:
        if len(entry) not in (4, 5) or entry[0] not in METRICS:
            raise UsageError(
                "multivariate_extras needs entries (metric, fixed, moving, weight, sampling) with a metric of "
                f"{', '.join(METRICS)}"
            )
        metric, fixed, moving, weight = entry[:4]
        pairs.append(ImagePair(fixed, moving, weight=float(weight), metric=METRICS[metric]))
    return tuple(pairs)


def directions(flags: Sequence[float], grid: Grid) -> list[str]:
    """Settings for 1 or 0 for x, y and z of the world: whether points may move along it.

    Raises
    ------
    UsageError
        When they are other numbers or none is 1, or two are and the fixed grid is oblique.
    """
    chosen = [axis for axis, flag in enumerate(flags) if flag == 1]
    if len(flags) not in (2, 3) or not chosen or any(flag not in (0, 1) for flag in flags):
        raise UsageError(f"restrict_transformation is {tuple(flags)}; 1 or 0 for every axis is needed, one of them 1")
    if len(chosen) == len(flags):
        return []
    if len(chosen) == 1:
        return [f"syn.directions={np.eye(3)[chosen[0]].tolist()}"]
    letters = [_axis_along(grid, axis) for axis in chosen]
    if None in letters:
        raise UsageError(
            f"restrict_transformation is {tuple(flags)} and the fixed image is oblique: one axis of the world can be "
            "chosen, or axes of the image with warpline.register and syn.directions"
        )
    return [f"syn.directions={''.join(sorted(str(letter) for letter in letters))}"]


def _axis_along(grid: Grid, axis: int) -> str | None:
    """The letter of the axis of a grid that lies along one of the world."""
    cosines = np.abs(grid.affine[axis, :3]) / grid.voxel_size
    best = int(cosines.argmax())
    return "ijk"[best] if cosines[best] >= ALIGNED else None
