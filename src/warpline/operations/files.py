"""Transform files into other transform files."""

from __future__ import annotations

import os

from warpline.backends import Backend
from warpline.io import transform_files
from warpline.io.transform_files import FORMATS, read_transform
from warpline.io.transform_lists import Entries
from warpline.operations.chains import read_chain
from warpline.operations.reading import GridLike, optional_grid_of
from warpline.space import Chain, Displacement, Transform, displacement_on
from warpline.space.grid import Grid
from warpline.space.inversion import invert

FileName = str | os.PathLike[str]


def compose(
    transforms: Entries,
    *,
    fixed: GridLike | None = None,
    moving: GridLike | None = None,
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

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> wider, shift = np.diag([2.0, 1.0, 1.0, 1.0]), np.eye(4)
    >>> shift[0, 3] = 1
    >>> warpline.compose([warpline.Affine(shift), warpline.Affine(wider)]).map_points([[0.0, 0.0, 0.0]])
    array([[2., 0., 0.]])
    """
    return read_chain(
        transforms, fixed=fixed, moving=moving, geometry=geometry, backend=backend, threads=threads
    ).simplified()


def convert(
    source: FileName,
    target: FileName,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    fixed: GridLike | None = None,
    moving: GridLike | None = None,
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

    Examples
    --------
    >>> import warpline
    >>> warpline.write_transform(warpline.Affine.identity(), "affine.mat")
    >>> transform = warpline.convert("affine.mat", "affine.tfm")
    >>> warpline.identify("affine.tfm").format
    'itk-text'
    """
    start, end = optional_grid_of(fixed, "fixed", geometry), optional_grid_of(moving, "moving", geometry)
    transform = read_transform(source, source_format, fixed=start, moving=end)
    write_transform(transform, target, target_format, fixed=start, moving=end)
    return transform


def write_transform(
    transform: Transform,
    path: FileName,
    format: str | None = None,
    *,
    fixed: Grid | None = None,
    moving: Grid | None = None,
    backend: str | Backend | None = None,
    threads: int | None = None,
) -> None:
    """Write a transform, complete or not at all.

    Parameters
    ----------
    transform : Affine, Displacement or Chain
        Fixed world to moving world. Neighbouring affines are multiplied for a format of affines. For a format of
        fields, any transform is put on a grid: `fixed`, or that of its first part. Of a displacement, ITK's format
        stores the forward field only (write ``transform.inverse()`` to a second file); where a format stores the
        inverse too and it is not known, it is computed.
    path : path
        Compressed when it ends in ``.gz``.
    format : str, optional
        A key of `warpline.io.transform_files.FORMATS`; by default the first that stores the transform under this name.
    fixed, moving : Grid, optional
        Of the images that the transform joins; needed by the formats of FSL and AFNI, which count from them.
    backend, threads
        Where a field is inverted, as in `warpline.backends.select`.

    Raises
    ------
    UsageError
        When no format fits the transform and the file name, or a field has no grid to lie on.
    InputError
        When a grid is missing, or a field is not known everywhere (NaN) and the format has no word for that.
    OutputError
        When the file cannot be written.

    Examples
    --------
    >>> import warpline
    >>> warpline.write_transform(warpline.Affine.identity(), "affine.mat")
    >>> warpline.identify("affine.mat").about
    'ITK linear transform in MATLAB form (ANTs 0GenericAffine.mat)'
    """
    if format in FORMATS and FORMATS[format].stores_inverse:
        transform = _with_inverse(transform, fixed, backend, threads)
    transform_files.write_transform(transform, path, format, fixed=fixed, moving=moving)


def _with_inverse(
    transform: Transform, fixed: Grid | None, backend: str | Backend | None, threads: int | None
) -> Transform:
    """A displacement with its inverse, on `fixed` or the grid of the first part; unchanged where there is neither."""
    first = next(iter(Chain.of(transform).parts), None)
    grid = first.grid if fixed is None and isinstance(first, Displacement) else fixed
    if grid is None:
        return transform
    if isinstance(transform, Displacement) and transform.inverse_field is not None and transform.grid == grid:
        return transform
    forward = Displacement(displacement_on(transform, grid), grid)
    return Displacement(forward.field, grid, displacement_on(invert(forward, backend=backend, threads=threads), grid))
