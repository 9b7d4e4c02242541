"""A series moved by motion that was found before, and by further transforms, in one interpolation."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from warpline.backends import Backend, select
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.atomic import Transaction
from warpline.io.images import Source
from warpline.io.series_files import moved_header, open_series, write_series
from warpline.io.transform_files import itk_text
from warpline.operations import log_notes
from warpline.series.concurrency import Workers
from warpline.series.onward import Destination, find_way, move_volumes, read_route

SUFFIXES = (".nii", ".nii.gz")


def apply_motion(
    series: Source,
    motion: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    destination: Destination | None = None,
    interpolation: str = "cubic",
    values: str = "float32",
    geometry: str | None = None,
    backend: str | Backend | None = None,
    threads: int | None = None,
) -> tuple[int, ...]:
    """Move a series and write it, a volume at a time.

    Parameters
    ----------
    series : path, nibabel image, Image, array or (array, affine)
        As it was measured.
    motion : path
        ITK text file of one affine per volume, reference to volume, as `SeriesRegistration.save` and fMRIPrep write it.
    output : path
        Ends in ``.nii`` or ``.nii.gz``.
    destination : Destination, optional
        Further transforms, which end in the reference of the motion, and the grid of the result.
    interpolation, values, geometry, backend, threads
        As for `warpline.register_series`.

    Returns
    -------
    tuple of int
        Shape of what was written.

    Raises
    ------
    UsageError
        When the name ends otherwise, or an option is not allowed.
    InputError
        When a file cannot be read, or holds another number of affines than there are volumes.
    OutputError
        When the output cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> from warpline.series import apply_motion
    >>> x, y, z = np.indices((16, 16, 16)) - 7.5
    >>> still = np.exp(-(x**2 + 2 * y**2 + 4 * z**2) / 40).astype(np.float32)
    >>> series = np.stack([still, np.roll(still, 1, axis=1)], axis=-1), np.eye(4)
    >>> motion = warpline.register_series(series, reference="first").save("out/")["transforms"]
    >>> apply_motion(series, motion, "out/moved.nii.gz")
    (16, 16, 16, 2)
    """
    path = Path(output)
    if not path.name.endswith(SUFFIXES):
        raise UsageError(f"{path} is no name for a series to write; let it end in {' or '.join(SUFFIXES)}")
    chosen = select(backend, threads)
    given = open_series(series, geometry=geometry)
    log_notes(given.grid)
    affines = itk_text.read_affines(Path(motion))
    if len(affines) != given.count:
        raise InputError(
            f"{motion} holds {len(affines)} affines and {given.name} {given.count} volumes; give one for each"
        )
    place = Image(np.zeros(given.grid.shape, np.float32), given.grid.bare, given.name)
    route = read_route(destination or Destination(), given.grid, backend=chosen, geometry=geometry)
    way = find_way(route, place, backend=chosen, threads=threads)
    matrices = np.stack([affine.matrix for affine in affines])
    volumes = move_volumes(given, matrices, way.pullback, Workers.of(chosen, threads), interpolation=interpolation)
    with Transaction() as files:
        files.prepare(path.parent)
        with files.staged(path) as temporary:
            header = moved_header(given, way.grid, values)
            write_series(volumes, header, temporary, compressed=path.suffix == ".gz")
    return (*way.grid.shape, given.count)
