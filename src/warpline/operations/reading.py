"""Images and grids of files, with a warning for everything that a header leaves open."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from warpline.images import Image
from warpline.io.images import Source, as_image, read_grid
from warpline.space.grid import Grid

GridLike = Source | Grid
"""A grid, or an image that lies on it; of a file only the header is read."""

_log = logging.getLogger(__name__)


def read(source: Source, name: str = "image", geometry: str | None = None, *, known: Iterable[str] = ()) -> Image:
    """As `warpline.io.images.as_image`; the notes of what is read here are logged as warnings.

    Parameters
    ----------
    source, name, geometry
        As there.
    known : iterable of str
        Notes that were logged before.
    """
    image = as_image(source, name, geometry)
    if image is not source:
        log_notes(image.grid, known)
    return image


def read_image(path: str | os.PathLike[str], geometry: str | None = None) -> Image:
    """Read an image; a warning is logged for everything that its header leaves open.

    Parameters
    ----------
    path : path
        NIfTI (``.nii``, ``.nii.gz``), or another image that nibabel reads (such as ``.mgz``).
    geometry : {"sform", "qform"}, optional
        Which matrix of a NIfTI header to take where it has both; the sform when None.

    Returns
    -------
    Image
        See `warpline.io.images.read_image`, which says what is raised too; the warnings are in ``.grid.notes``.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> grid = warpline.Grid((4, 5, 6), np.eye(4))
    >>> warpline.write_image(warpline.Image(np.zeros(grid.shape, np.uint8), grid), "zeros.nii.gz")
    >>> warpline.read_image("zeros.nii.gz").data.dtype
    dtype('uint8')
    """
    return read(path, geometry=geometry)


def grid_of(place: GridLike, name: str = "image", geometry: str | None = None) -> Grid:
    """The grid of an image; `name` is what error messages call one without a file."""
    if isinstance(place, (Grid, Image)):
        return place if isinstance(place, Grid) else place.grid
    if not isinstance(place, (str, os.PathLike)):
        return read(place, name, geometry).grid
    grid = read_grid(place, geometry)
    log_notes(grid)
    return grid


def optional_grid_of(place: GridLike | None, name: str = "image", geometry: str | None = None) -> Grid | None:
    """As `grid_of`, None where there is no image."""
    return None if place is None else grid_of(place, name, geometry)


def log_notes(grid: Grid, known: Iterable[str] = ()) -> None:
    """Log the notes of a grid as warnings, but for those in `known`."""
    for note in grid.notes:
        if note not in known:
            _log.warning("%s", note)
