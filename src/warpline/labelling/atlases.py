"""Atlases: images with labels, given one by one or as a table, read and checked before anything is registered."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.compression import check_regular
from warpline.io.images import Source
from warpline.registration import load

_DELIMITERS = {".tsv": "\t", ".csv": ","}
_LARGEST = 2**53
"""Up to it float64 holds every whole number."""


@dataclass(frozen=True, eq=False)
class Atlas:
    """A labelled image.

    Parameters
    ----------
    image : path, nibabel image, Image, array or (array, affine)
        One volume, 3-D, or 2-D for single slices.
    labels : like `image`
        Whole numbers on the grid of the image; 0 is background.
    name : str
        What reports call it; empty takes the name of the file of the image, or its position.

    Examples
    --------
    >>> from warpline.labelling import Atlas
    >>> Atlas("sub-01_T1w.nii.gz", "sub-01_dseg.nii.gz", "sub-01").name
    'sub-01'
    """

    image: Source
    labels: Source
    name: str = ""


AtlasSource = Atlas | tuple[Source, Source]
"""An atlas, or its image and its labels."""

Atlases = str | os.PathLike[str] | Sequence[AtlasSource]
"""Several atlases, or the path of a table of them."""


@dataclass(frozen=True, eq=False)
class LoadedAtlas:
    """An atlas as it was read.

    Parameters
    ----------
    name : str
        What reports call it; no two of a run share it.
    image, labels : Image
        On one grid; labels are whole numbers, their background 0.
    described : dict
        Of both, for the report: path, shape, checksum.
    """

    name: str
    image: Image
    labels: Image
    described: dict[str, Any]


def listed(atlases: Atlases) -> list[Atlas]:
    """The atlases of a sequence or a table, each with a name of its own.

    Raises
    ------
    UsageError
        When there is none, one is no pair, or two have one name.
    InputError
        When the table cannot be used.
    """
    given = read_atlases(atlases) if isinstance(atlases, (str, os.PathLike)) else list(atlases)
    if not given:
        raise UsageError("no atlas is given; at least one image with its labels is needed")
    found = [_as_atlas(one, number) for number, one in enumerate(given, 1)]
    names = _names(found)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two atlases are called {twice[0]}; give every atlas once, or names that differ")
    return [replace(one, name=name) for one, name in zip(found, names, strict=True)]


def read_atlases(path: str | os.PathLike[str]) -> list[Atlas]:
    """Read a table of atlases.

    Parameters
    ----------
    path : path
        Tab-separated (``.tsv``) or comma-separated (``.csv``), UTF-8, with a header line: columns ``image`` and
        ``labels``, paths relative to the folder of the table, and ``name`` where wanted. Further columns are ignored.

    Raises
    ------
    InputError
        When the table cannot be read, has no rows, or lacks a column or a cell.

    Examples
    --------
    >>> from pathlib import Path
    >>> from warpline.labelling import read_atlases
    >>> table = Path("atlases.csv")
    >>> _ = table.write_text(chr(10).join(("name,image,labels", "one,a.nii,a_labels.nii")))
    >>> read_atlases(table)
    [Atlas(image='a.nii', labels='a_labels.nii', name='one')]
    """
    table = Path(path)
    if table.suffix not in _DELIMITERS:
        raise InputError(f"{table} is no table of atlases; one that ends in .tsv or .csv is needed")
    try:
        check_regular(table)
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=_DELIMITERS[table.suffix]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{table} cannot be read as a table: {reason}") from None
    if not rows:
        raise InputError(f"{table} has no rows; one line per atlas is needed under the header image, labels")
    return [_row(row, line, table) for line, row in enumerate(rows, 2)]


def load_atlas(atlas: Atlas, image: Image, geometry: str | None = None) -> LoadedAtlas:
    """Read and check an atlas.

    Parameters
    ----------
    atlas : Atlas
        What to read.
    image : Image
        What it shall label: of both, a single slice or a volume.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take where both are set.

    Raises
    ------
    InputError
        When the image or its labels cannot be used.
    """
    shown, about_image = load(atlas.image, f"image of {atlas.name}", geometry)
    labels, about_labels = load(atlas.labels, f"labels of {atlas.name}", geometry)
    if labels.data.ndim != 3:
        raise InputError(
            f"{labels.name} is 4-D, shape {labels.data.shape}; one volume of labels is needed, no probability maps"
        )
    if labels.grid != shown.grid:
        raise InputError(
            f"{labels.name} (shape {labels.grid.shape}) does not lie on the grid of {shown.name} (shape "
            f"{shown.grid.shape}): shape and affine must agree; resample the labels with warpline apply "
            "--interpolation label"
        )
    labels = replace(labels, data=_whole_numbers(labels))
    if not labels.data.any():
        raise InputError(f"{labels.name} is 0 everywhere; an atlas has labels other than 0")
    if shown.grid.flat and image.grid.flat:
        plane = shown.grid.in_plane_of(image.grid)
        shown, labels = replace(shown, grid=plane), replace(labels, grid=plane)
    return LoadedAtlas(atlas.name, shown, labels, {"image": about_image, "labels": about_labels})


def repeated_images(described: Mapping[str, Any], atlases: Sequence[LoadedAtlas]) -> list[str]:
    """A sentence for every atlas whose image is that of another one, or the one to label.

    Parameters
    ----------
    described : dict
        Of the image to label, with its checksum.
    atlases : sequence of LoadedAtlas
        All of a run.
    """
    seen = {described["sha256"]: "the one to label"}
    lines = []
    for one in atlases:
        checksum = one.described["image"]["sha256"]
        if checksum in seen:
            lines.append(f"atlas {one.name} has the same image as {seen[checksum]}: is that meant?")
        seen.setdefault(checksum, f"atlas {one.name}")
    return lines


def _whole_numbers(labels: Image) -> NDArray[Any]:
    """Labels as integers; those of floats must be whole numbers that they hold exactly."""
    kind = labels.data.dtype.kind
    if kind != "f":
        return labels.data.astype(np.uint8) if kind == "b" else labels.data
    odd = labels.data[~(labels.data == np.rint(labels.data)) | (np.abs(labels.data) > _LARGEST)]  # NaN is odd
    if odd.size:
        raise InputError(
            f"{labels.name} holds {odd[0]:g}; labels are whole numbers up to 2^53: is it the file of labels? "
            "resample labels with warpline apply --interpolation label"
        )
    return labels.data.astype(np.int32 if np.abs(labels.data).max(initial=0) < 2**31 else np.int64)


def _as_atlas(one: AtlasSource, number: int) -> Atlas:
    if isinstance(one, Atlas):
        return one
    if isinstance(one, (tuple, list)) and len(one) == 2:
        return Atlas(*one)
    raise UsageError(f"atlas {number} is {one!r}; an Atlas, or a pair (image, labels), is needed")


def _names(atlases: Sequence[Atlas]) -> list[str]:
    """Those given; else the names of files without their ends, or whole paths where two files have one name."""
    paths = [os.fspath(one.image) if isinstance(one.image, (str, os.PathLike)) else "" for one in atlases]
    short = [os.path.basename(path).split(".")[0] for path in paths]
    return [
        one.name or (name if short.count(name) == 1 else path) or f"atlas {number}"
        for number, (one, path, name) in enumerate(zip(atlases, paths, short, strict=True), 1)
    ]


def _row(row: dict[str, str], line: int, table: Path) -> Atlas:
    paths = {}
    for column in ("image", "labels"):
        cell = row.get(column)
        if not cell:
            what = "has no column" if column not in row else f"has no value in line {line} of"
            raise InputError(f"{table} {what} {column}; every atlas needs image and labels")
        paths[column] = str(table.parent / cell)
    return Atlas(**paths, name=row.get("name") or "")
