"""Time points as given: read, checked, named, and put into an order that does not depend on how they were given."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.images.checks import check_contrast, check_finite, check_labels, check_mask, check_one_volume
from warpline.io.header_notes import once
from warpline.io.images import Source
from warpline.io.unknown import fill_unknown
from warpline.registration import load
from warpline.registration.checks import check_same_dimension
from warpline.registration.inputs import masks_on_grids

DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, eq=False)
class Given:
    """Time points as they were given.

    Parameters
    ----------
    images : list of Image
        One volume each, finite; 2-D ones in one plane.
    masks : list of Image or None
        Where each counts (voxels other than 0), on its grid.
    descriptions : list of dict
        For the report: path, shape, voxel size, matrix, checksum of each, and of its mask.
    notes : tuple of str
        What was assumed about them.
    """

    images: list[Image]
    masks: list[Image | None]
    descriptions: list[dict[str, Any]]
    notes: tuple[str, ...]


def read_points(sources: Sequence[Source], masks: Sequence[Source] = (), geometry: str | None = None) -> Given:
    """Read and check time points, before anything is computed.

    Parameters
    ----------
    sources : sequence
        Two or more images or paths.
    masks : sequence
        Where they count: one for each, or one for all of them; none where all of them counts.
    geometry : {"sform", "qform"}, optional
        Which matrix of NIfTI headers to take.

    Raises
    ------
    UsageError
        When there are fewer than two, one file is given twice, or the masks are of another number.
    InputError
        When one cannot be read, is a series or a single slice of a volume, is not finite or constant, when 2-D images
        stand beside volumes, or a mask marks nothing of its image.
    """
    _check_sources(sources, masks)
    loaded = [load(source, f"time point {number}", geometry) for number, source in enumerate(sources, 1)]
    loaded_masks = [load(source, f"mask {number}", geometry) for number, source in enumerate(masks, 1)]
    for image, _ in loaded:
        _check_shape(image, loaded[0][0])
    placed = _in_one_plane([image for image, _ in loaded])
    of_each: list[Image | None] = [mask for mask, _ in loaded_masks] or [None]
    marked = [_with_mask(*both) for both in zip(placed, of_each * (len(loaded) // len(of_each)), strict=True)]
    notes = (*once(*(image.grid for image, _ in loaded)), *(note for _, _, found in marked for note in found))
    images = [replace(image, name=name) for (image, _, _), name in zip(marked, names_of(sources), strict=True)]
    descriptions = [description for _, description in loaded]
    if loaded_masks:
        about = [description for _, description in loaded_masks] * (len(loaded) // len(loaded_masks))
        descriptions = [{**one, "mask": mask} for one, mask in zip(descriptions, about, strict=True)]
    return Given(images, [mask for _, mask, _ in marked], descriptions, (*notes, *_copies(images)))


def _check_sources(sources: Sequence[Source], masks: Sequence[Source]) -> None:
    if len(sources) < 2:
        raise UsageError(f"{len(sources)} time point was given; two or more are needed")
    if len(masks) not in (0, 1, len(sources)):
        raise UsageError(
            f"masks has {len(masks)} files for {len(sources)} time points; give one for each, or one for all of them"
        )
    paths = {n: os.path.realpath(one) for n, one in enumerate(sources, 1) if isinstance(one, (str, os.PathLike))}
    for (first, path), (second, other) in combinations(paths.items(), 2):
        if path == other:
            raise UsageError(
                f"time points {first} and {second} are one file, {path}; every time point needs an image of its own"
            )


def _check_shape(image: Image, first: Image) -> None:
    check_one_volume(image)
    check_same_dimension(first, image)
    if min(image.grid.shape) == 1 and not image.grid.flat:
        raise InputError(f"{image.name} is one slice of a volume; give volumes, or 2-D images in the plane of x, y")


def _in_one_plane(images: Sequence[Image]) -> list[Image]:
    """The images, 2-D ones in the plane of the one that comes first whatever order they were given in."""
    plane = images[canonical_order(images)[0]].grid
    return [replace(image, grid=image.grid.in_plane_of(plane)) for image in images]


def _with_mask(image: Image, mask: Image | None) -> tuple[Image, Image | None, tuple[str, ...]]:
    """A checked image without NaN around it, its mask on its grid, and what was assumed."""
    notes: tuple[str, ...] = ()
    if mask is not None:
        mask = replace(mask, grid=mask.grid.in_plane_of(image.grid))
        check_same_dimension(mask, image)
        check_mask(mask, image)
        placed, notes = masks_on_grids({"image": image, "image_mask": mask})
        mask = placed["image_mask"]
    filled, note = fill_unknown(image, mask)
    check_finite(filled)
    check_contrast(filled, mask)
    return filled, mask, notes if note is None else (*notes, note)


def labels_on(labels: Image, point: Image) -> Image:
    """Checked labels of a time point, 2-D ones in its plane.

    Raises
    ------
    InputError
        When they hold fractions, are 0 everywhere, a series, or 2-D beside volumes.
    """
    check_labels(labels)
    check_same_dimension(point, labels)
    return replace(labels, grid=labels.grid.in_plane_of(point.grid))


def _copies(images: Sequence[Image]) -> Iterator[str]:
    """A sentence for every two time points of the same voxels."""
    for first, second in combinations(images, 2):
        if first.data.shape == second.data.shape and np.array_equal(first.data, second.data):
            yield f"{first.name} and {second.name} have the same voxels, so that nothing changes: is one a copy?"


def canonical_order(images: Sequence[Image], masks: Sequence[Image | None] = ()) -> list[int]:
    """Numbers of the images in an order that only their voxels and matrices, and those of their masks, decide."""
    given = masks or [None] * len(images)
    digests = [
        _digest(image) + ("" if mask is None else _digest(mask)) for image, mask in zip(images, given, strict=True)
    ]
    return sorted(range(len(images)), key=digests.__getitem__)


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
