"""Lists of transforms as ANTs writes them: files, ``[file,1]`` for an inverse, names of formats before them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from warpline.backends import Backend
from warpline.errors import UsageError
from warpline.io.nitransforms_objects import from_nitransforms, is_nitransforms
from warpline.io.transform_files import FORMATS, read_transform
from warpline.io.transform_order import order_warning
from warpline.space import Affine, Chain, Displacement, Transform
from warpline.space.grid import Grid
from warpline.space.inversion import inversion

Entry = Transform | str | os.PathLike[str]
"""A transform, ours or nitransforms', its file, ``"[file,1]"``, the inverse of the one in the file, or either after
``format:``."""

Entries = Entry | Sequence[Entry]
"""One entry or several, in the order in which points of the fixed image go through them."""

_INVERTED = re.compile(r"\[(?P<path>.+),(?P<flag>[01])\]")
_NAMED = re.compile(r"(?P<format>[\w-]+):(?P<path>.+)")


def as_entries(entries: Entries) -> list[Entry]:
    """One entry or several, as a list.

    Examples
    --------
    >>> from warpline.io.transform_lists import as_entries
    >>> as_entries("affine.mat")
    ['affine.mat']
    """
    alone = isinstance(entries, (str, os.PathLike, Affine, Displacement, Chain)) or is_nitransforms(entries)
    return [entries] if alone else list(entries)  # type: ignore[list-item, arg-type]


def read_entries(
    entries: Entries,
    fixed: Grid | None = None,
    moving: Grid | None = None,
    *,
    backend: str | Backend | None = None,
    threads: int | None = None,
) -> Chain:
    """Several transforms as one chain, fixed world to moving world.

    Parameters
    ----------
    entries : transform, object of nitransforms, path or a sequence of them
        In the order in which points of the fixed image go through them; ``"[file,1]"`` is the inverse of a file, and
        ``"fsl-flirt:file"`` names its format.
    fixed, moving : Grid, optional
        Of the images between which the whole chain maps; some formats cannot be read without them.
    backend, threads
        Where displacement fields are inverted, as in `warpline.backends.select`.

    Raises
    ------
    InputError
        When a file cannot be read.
    UsageError
        When brackets hold anything but ``[file,1]`` or ``[file,0]``.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> from warpline.io.transform_lists import read_entries
    >>> warpline.write_transform(warpline.Affine(np.diag([2.0, 1.0, 1.0, 1.0])), "wider.mat")
    >>> read_entries(["[wider.mat,1]"]).map_points([[2.0, 0.0, 0.0]])
    array([[1., 0., 0.]])
    """
    grids = [fixed, moving]
    return Chain.of(*(_read(entry, grids, backend, threads) for entry in as_entries(entries)))


def paths_in(entries: Iterable[str]) -> list[str]:
    """The files that ``-t`` arguments name, without the brackets of inversion and the names of formats."""
    return [_split(entry)[0] for entry in entries]


def order_warning_of(entries: Entries) -> str | None:
    """`order_warning` of the files among some transforms."""
    named = (one if isinstance(one, (str, os.PathLike)) else None for one in as_entries(entries))
    return order_warning([None if one is None else _split(os.fspath(one))[:2] for one in named])


def _read(entry: Entry, grids: list[Grid | None], backend: str | Backend | None, threads: int | None) -> Transform:
    if not isinstance(entry, (str, os.PathLike)):
        return from_nitransforms(entry) if is_nitransforms(entry) else entry
    path, inverted, format = _split(os.fspath(entry))
    first, last = reversed(grids) if inverted else grids
    transform = read_transform(path, format, fixed=first, moving=last)
    return inversion(transform, backend=backend, threads=threads).transform if inverted else transform


def _split(entry: str) -> tuple[str, bool, str | None]:
    """File, whether it is inverted, and the name of its format where one is given."""
    found = _INVERTED.fullmatch(entry)
    if found is None and entry.startswith("[") and not os.path.exists(entry):
        raise UsageError(f"transform {entry!r} is not understood; write [FILE,1] for the inverse of a file")
    path, inverted = (found["path"], found["flag"] == "1") if found else (entry, False)
    named = None if os.path.exists(path) else _NAMED.fullmatch(path)
    if named is None or named["format"] not in FORMATS:
        return path, inverted, None
    return named["path"], inverted, named["format"]
