"""Time points as given: read, checked, named, and put into an order that does not depend on how they were given."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import Source
from warpline.registration import in_one_plane, load

DAYS_PER_YEAR = 365.25


def read_points(sources: Sequence[Source], geometry: str | None = None) -> tuple[list[Image], list[dict[str, Any]]]:
    """Images of the time points, 2-D ones in one plane, and their descriptions for the report.

    Parameters
    ----------
    sources : sequence
        Two or more images or paths.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take.

    Raises
    ------
    UsageError
        When there are fewer than two.
    InputError
        When one cannot be read, or is a single slice of a volume.
    """
    if len(sources) < 2:
        raise UsageError(f"{len(sources)} time point was given; two or more are needed")
    loaded = [load(source, f"time point {number}", geometry) for number, source in enumerate(sources, 1)]
    images, descriptions = [image for image, _ in loaded], [description for _, description in loaded]
    for image in images:
        if min(image.grid.shape) == 1 and not image.grid.flat:
            raise InputError(f"{image.name} is one slice of a volume; give volumes, or 2-D images in the plane of x, y")
    lowest = images[canonical_order(images)[0]]
    placed = (in_one_plane({"fixed": lowest, "moving": image})["moving"] for image in images)
    return [replace(image, name=name) for image, name in zip(placed, names_of(sources), strict=True)], descriptions


def canonical_order(images: Sequence[Image]) -> list[int]:
    """Numbers of the images in an order that only their voxels and matrices decide."""
    return sorted(range(len(images)), key=lambda number: _digest(images[number]))


def _digest(image: Image) -> str:
    found = hashlib.sha256(np.ascontiguousarray(image.data).data)
    found.update(repr((image.data.dtype.str, image.data.shape, image.affine.tolist())).encode())
    return found.hexdigest()


def names_of(sources: Sequence[Source]) -> list[str]:
    """A name for each time point that files can begin with: that of its file, numbered where two are the same."""
    stems = [
        Path(source).name.removesuffix(".gz").rpartition(".")[0] or Path(source).name
        if isinstance(source, (str, os.PathLike))
        else "point"
        for source in sources
    ]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{stem}-{number}" for number, stem in enumerate(stems, 1)]


def years_of(count: int, years: Sequence[float] | None, dates: Sequence[str | date] | None) -> tuple[float, ...] | None:
    """Years of the time points since the first one; None where neither years nor dates are known.

    Parameters
    ----------
    count : int
        Of the time points.
    years : sequence of float, optional
        Any zero: ages as well.
    dates : sequence of str or date, optional
        As 2020-01-31.

    Raises
    ------
    UsageError
        When both are given, their number is another one, one is no date, or they do not rise.
    """
    if years is not None and dates is not None:
        raise UsageError("years and dates are both given; give one of them")
    name, given = ("years", years) if dates is None else ("dates", dates)
    if given is None:
        return None
    if len(given) != count:
        raise UsageError(f"{name} has {len(given)} values for {count} time points; give one for each")
    known = [_year(one) for one in given]
    if not np.all(np.isfinite(known)) or not np.all(np.diff(known) > 0):
        raise UsageError(f"{name} are {', '.join(map(str, given))}; they must rise: give the earliest time point first")
    return tuple(float(one - known[0]) for one in known)


def _year(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    try:
        day = value if isinstance(value, date) else date.fromisoformat(value)
    except (TypeError, ValueError):
        raise UsageError(f"{value!r} is no date; write it as 2020-01-31") from None
    return day.toordinal() / DAYS_PER_YEAR
