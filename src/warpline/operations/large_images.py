"""Whether an image is carried over as a whole, or part by part so that it stays within the memory there is."""

from __future__ import annotations

import logging
import math

import numpy as np
from numpy.typing import NDArray

from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.limits import free_memory
from warpline.resampling.parts import Need
from warpline.space import Chain, Displacement
from warpline.space.grid import Grid

GIGABYTE = 1e9

PROGRAM = 500_000_000
"""Bytes of Python, its packages and compiled code, and of what is worked on part by part."""

NEGLIGIBLE = 500_000_000
"""Bytes of work that nobody asks about unless memory is asked for."""

_log = logging.getLogger(__name__)


def room_for_parts(image: Image, chain: Chain, grid: Grid, memory: float | None, *, need: Need) -> int | None:
    """Bytes that a part may take where an image has to be carried over part by part, else None.

    A warning says so where nobody asked for a limit.

    Parameters
    ----------
    image : Image
        What is carried over, in memory.
    chain : Chain
        Through what, in memory.
    grid : Grid
        Of the reference.
    memory : float or None
        GB (10^9 bytes) that the process may take, image and transforms included; what is free beside them when None.
    need : Need
        Of the image and its interpolation.

    Raises
    ------
    UsageError
        When `memory` is not a positive number, or less than image, transforms, result and the smallest part take.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> from warpline.resampling import INTERPOLATIONS
    >>> from warpline.resampling.parts import Need
    >>> grid = warpline.Grid((300, 300, 300), np.eye(4))
    >>> image = warpline.Image(np.zeros(grid.shape, np.uint8), grid)
    >>> need, chain = Need.of(INTERPOLATIONS["linear"], image, threads=1), warpline.Chain(())
    >>> [room_for_parts(image, chain, grid, memory, need=need) for memory in (2.0, 1.0)]
    [None, 257000000]
    """
    if memory is not None and not 0 < memory < math.inf:
        raise UsageError(f"memory is {memory!r}; a number of GB above 0 is needed")
    work = need.whole(grid.shape)
    if memory is None and work <= NEGLIGIBLE:
        return None
    held = PROGRAM + image.data.nbytes + _field_bytes(chain)
    limit = held + free_memory() if memory is None else int(memory * GIGABYTE)
    most = held + 2 * _result_bytes(image, grid)
    if most + work <= limit:
        return None
    if memory is None:
        _log.warning("%s is carried over part by part: as a whole it takes more memory than is free", image.name)
    elif most + need.least > limit:
        raise UsageError(
            f"memory is {memory:g} GB, and {image.name}, its result and its file, transforms and the smallest part "
            f"take {(most + need.least) / GIGABYTE:.2f} GB: give more memory, or a smaller reference"
        )
    return max(limit - most, need.least)


def _field_bytes(chain: Chain) -> int:
    """Of displacement fields, and of their inverses where these came with them."""
    fields = (field for part in chain.parts if isinstance(part, Displacement) for field in _fields(part))
    return sum(field.nbytes for field in fields)


def _fields(part: Displacement) -> list[NDArray[np.float32]]:
    return [field for field in (part.field, part.inverse_field) if field is not None]


def _result_bytes(image: Image, grid: Grid) -> int:
    """Of what is written, at least in single precision."""
    volumes = math.prod(image.data.shape[3:])
    return max(image.data.dtype.itemsize, np.dtype(np.float32).itemsize) * volumes * math.prod(grid.shape)
