"""Lists of transforms, as ANTs writes them, to one chain."""

from __future__ import annotations

import logging

from warpline.backends import Backend
from warpline.io.transform_lists import Entries, order_warning_of, read_entries
from warpline.operations.reading import GridLike, optional_grid_of
from warpline.space import Chain

_log = logging.getLogger(__name__)


def read_chain(
    entries: Entries,
    *,
    fixed: GridLike | None = None,
    moving: GridLike | None = None,
    geometry: str | None = None,
    backend: str | Backend | None = None,
    threads: int | None = None,
) -> Chain:
    """Several transforms as one chain, fixed world to moving world.

    Parameters
    ----------
    entries : transform, path or a sequence of them
        In the order in which points of the fixed image go through them; ``"[file,1]"`` is the inverse of a file,
        affine or not. ``"fsl-flirt:file"`` and ``"[fsl-flirt:file,1]"`` name a format of
        `warpline.io.transform_files.FORMATS` that the content does not tell. None at all is the identity.
    fixed, moving : Grid, Image, path, nibabel image or (array, affine), optional
        Of the whole chain; some formats cannot be read without them.
    geometry : {"sform", "qform"}, optional
        Which matrix of their NIfTI headers to take where both are set; the sform when None.
    backend, threads
        Where displacement fields are inverted, as in `warpline.backends.select`.

    Returns
    -------
    Chain
        Of all parts, in the same order. A warning is logged where this is one that no registration means.

    Raises
    ------
    InputError
        When a file cannot be read.
    UsageError
        When brackets hold anything but ``[file,1]`` or ``[file,0]``.
    """
    warning = order_warning_of(entries)
    if warning is not None:
        _log.warning("%s", warning)
    grids = [optional_grid_of(fixed, "fixed", geometry), optional_grid_of(moving, "moving", geometry)]
    return read_entries(entries, *grids, backend=backend, threads=threads)
