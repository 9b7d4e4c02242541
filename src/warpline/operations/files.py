"""Transform files into other transform files."""

from __future__ import annotations

import os
from typing import Any

from warpline.backends import Backend
from warpline.io.transform_files import read_transform, write_transform
from warpline.operations.chains import Entries, read_chain
from warpline.operations.reading import Place, place_of
from warpline.space import Chain, Displacement, Transform, displacement_on
from warpline.space.grid import Grid
from warpline.space.inversion import invert

Path = str | os.PathLike[str]

BOTH_WAYS = ("dipy-mapping",)
"""Formats that store the inverse of a displacement too."""


def compose(
    transforms: Entries,
    *,
    fixed: Place | None = None,
    moving: Place | None = None,
    geometry: str | None = None,
    backend: str | Backend | None = None,
    threads: int | None = None,
) -> Transform:
    """Several transforms as one, without any interpolation: neighbouring affines are multiplied, the rest is kept.

    Writing the result with ``write_transform(..., fixed=grid)`` in a format that holds one field puts the whole map on
    that grid, exact at its voxels.

    Parameters
    ----------
    transforms : transform, path or a sequence of them
        In the order in which points of the fixed image go through them; ``"[file,1]"`` is the inverse of a file.
    fixed, moving : Grid, Image, path, nibabel image or (array, affine), optional
        Of the whole chain; some formats cannot be read without them.
    geometry : {"sform", "qform"}, optional
        Which matrix of their NIfTI headers to take where both are set; the sform when None.
    backend, threads
        Where displacement fields are inverted, as in `warpline.backends.select`.

    Returns
    -------
    Affine, Displacement or Chain
        Fixed world to moving world.
    """
    where: dict[str, Any] = {"geometry": geometry, "backend": backend, "threads": threads}
    return read_chain(transforms, fixed=fixed, moving=moving, **where).simplified()


def convert(
    source: Path,
    target: Path,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    fixed: Place | None = None,
    moving: Place | None = None,
    geometry: str | None = None,
) -> Transform:
    """Write the transform of a file into a file of another format; the direction of the map stays.

    Parameters
    ----------
    source, target : path
        The file to read and the one to write.
    source_format, target_format : str, optional
        Keys of `warpline.io.transform_files.FORMATS`; found by content and by the name's end when None.
    fixed, moving : Grid, Image, path, nibabel image or (array, affine), optional
        The images between which it maps; several formats need them.
    geometry : {"sform", "qform"}, optional
        Which matrix of their NIfTI headers to take where both are set; the sform when None.

    Returns
    -------
    Affine, Displacement or Chain
        What was written, fixed world to moving world.

    Raises
    ------
    InputError
        When the source cannot be read, or an image is needed.
    UsageError
        When no format fits the transform and the name.
    OutputError
        When the target cannot be written.
    """
    between = {"fixed": place_of(fixed, "fixed", geometry), "moving": place_of(moving, "moving", geometry)}
    transform = read_transform(source, source_format, **between)
    write(transform, target, target_format, **between)
    return transform


def write(
    transform: Transform,
    path: Path,
    format: str | None = None,
    *,
    fixed: Grid | None = None,
    moving: Grid | None = None,
    **where: Any,
) -> None:
    """As `write_transform`; the inverse of a field is computed where the format stores it and it is not known.

    Parameters
    ----------
    transform, path, format, fixed, moving
        As for `write_transform`, which says what is raised too.
    **where
        `backend` and `threads`, as in `warpline.backends.select`: where a field is inverted.
    """
    stored = _both_ways(transform, fixed, where) if format in BOTH_WAYS else transform
    write_transform(stored, path, format, fixed=fixed, moving=moving)


def _both_ways(transform: Transform, fixed: Grid | None, where: dict[str, Any]) -> Transform:
    """A displacement with its inverse, on `fixed` or the grid of the first part; unchanged where there is neither."""
    first = next(iter(Chain.of(transform).parts), None)
    grid = first.grid if fixed is None and isinstance(first, Displacement) else fixed
    if grid is None:
        return transform
    if isinstance(transform, Displacement) and transform.inverse_field is not None and transform.grid == grid:
        return transform
    forward = Displacement(displacement_on(transform, grid), grid)
    return Displacement(forward.field, grid, displacement_on(invert(forward, **where), grid))
