"""Whether an image is carried over as a whole, or part by part so that it stays within the memory there is."""

from __future__ import annotations

import logging
import math

import numpy as np

from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.limits import free_memory
from warpline.space.grid import Grid

GIGABYTE = 1e9

PROGRAM = 500_000_000
"""Bytes of Python, its packages and compiled code, and of what is worked on part by part."""

MAP, SOURCE = 40, 4
"""Bytes for each voxel of the reference, of the map and what it is made of, and of the image, as single precision."""

NEGLIGIBLE = 500_000_000
"""Bytes of work that nobody asks about unless memory is asked for."""

_log = logging.getLogger(__name__)


def needs_parts(image: Image, grid: Grid, memory: float | None) -> bool:
    """Whether an image has to be carried over part by part; a warning says so where nobody asked for a limit.

    Parameters
    ----------
    image : Image
        What is carried over, in memory.
    grid : Grid
        Of the reference.
    memory : float or None
        GB (10^9 bytes) that the process may take, the image included; what is free beside it when None.

    Raises
    ------
    UsageError
        When `memory` is not a positive number, or less than the image and the result take.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> grid = warpline.Grid((300, 300, 300), np.eye(4))
    >>> image = warpline.Image(np.zeros(grid.shape, np.uint8), grid)
    >>> needs_parts(image, grid, 2.0), needs_parts(image, grid, 1.0)
    (False, True)
    """
    if memory is not None and not 0 < memory < math.inf:
        raise UsageError(f"memory is {memory!r}; a number of GB above 0 is needed")
    work = MAP * math.prod(grid.shape) + SOURCE * math.prod(image.grid.shape)
    if memory is None and work <= NEGLIGIBLE:
        return False
    held = PROGRAM + image.data.nbytes
    limit = held + free_memory() if memory is None else memory * GIGABYTE
    most = held + 2 * _result_bytes(image, grid)
    if most + work <= limit:
        return False
    if memory is None:
        _log.warning("%s is carried over part by part: as a whole it takes more memory than is free", image.name)
    elif most > limit:
        raise UsageError(
            f"memory is {memory:g} GB, and {image.name}, its result and its file take {most / GIGABYTE:.2f} GB: "
            "give more memory, or a smaller reference"
        )
    return True


def _result_bytes(image: Image, grid: Grid) -> int:
    """Of what is written, at least in single precision."""
    volumes = math.prod(image.data.shape[3:])
    return max(image.data.dtype.itemsize, np.dtype(np.float32).itemsize) * volumes * math.prod(grid.shape)
