"""What a run needs: inputs that must be there, and room on the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from warpline.cohort.tasks import Task, Warps

BYTES_PER_VOXEL: dict[Warps, float] = {"full": 14.0, "rounded": 3.3, "forward": 2.0, "none": 0.7}
"""Of all files of a pair, per voxel of the fixed image, for skull-stripped brains; heads take up to twice that."""

SAMPLE = 5
"""Fixed images that are looked at."""


def missing_inputs(tasks: Sequence[Task]) -> list[tuple[str, str]]:
    """Id and path of every input that is not there."""
    return [(task.id, path) for task in tasks for path in task.sources().values() if not os.path.exists(path)]


def disk_need(tasks: Sequence[Task], warps: Warps, geometry: str | None = None) -> float | None:
    """Bytes that the outputs will take, from the size of a few fixed images; None when none of them can be read.

    What their headers leave open is logged as a warning; `geometry` is the matrix that was asked for.
    """
    from warpline.errors import InputError
    from warpline.operations import grid_of

    voxels = []
    for path in dict.fromkeys(task.pair.fixed for task in tasks):
        try:
            voxels.append(np.prod(grid_of(path, geometry=geometry).shape))
        except InputError:
            continue
        if len(voxels) == SAMPLE:
            break
    return float(np.mean(voxels)) * BYTES_PER_VOXEL[warps] * len(tasks) if voxels else None
