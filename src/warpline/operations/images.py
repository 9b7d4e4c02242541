"""Images through transforms, and how transforms change volumes."""

from __future__ import annotations

import logging
import os
from functools import partial

import numpy as np

from warpline.backends import Backend, select
from warpline.backends.voxel_coordinates import inside
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.images.array_exchange import nearest_backend
from warpline.images.intensity import lies_far_from_zero, value_beyond
from warpline.io.images import Source
from warpline.io.transform_lists import Entries
from warpline.io.vectors import (
    BY_THEMSELVES,
    from_world,
    read_components,
    read_series,
    read_vectors,
    to_world,
)
from warpline.operations.chains import read_chain
from warpline.operations.large_images import room_for_parts
from warpline.operations.reading import GridLike, grid_of, log_notes, read
from warpline.resampling import INTERPOLATIONS, SPLINES, Interpolation, pull_back, warp_vectors
from warpline.resampling.parts import Need
from warpline.resampling.slabs import slabs
from warpline.resampling.streaming import apply_in_parts
from warpline.space import Chain, Displacement
from warpline.space.grid import Grid, apply_affine
from warpline.space.jacobian import pullback_determinant

_LATTICE = 24
"""Points along each axis by which it is seen whether two images meet."""

_log = logging.getLogger(__name__)


def apply(
    image: Source,
    reference: GridLike,
    transforms: Entries,
    *,
    interpolation: str | Interpolation = "linear",
    outside: float | None = None,
    vectors: str | None = None,
    geometry: str | None = None,
    backend: str | Backend | None = None,
    threads: int | None = None,
    memory: float | None = None,
) -> Image:
    """Carry an image through transforms onto the grid of another, in one interpolation.

    Parameters
    ----------
    image : path, nibabel image, Image, array or (array, affine)
        2-D, 3-D, or 4-D: then volume by volume.
    reference : Grid, or like `image`
        Whose grid the result gets; of a file only the header is read.
    transforms : transform, object of nitransforms, path or a sequence of them
        In the order in which points of the reference go through them, as for ANTs: warp, then affine.
        ``"[file,1]"`` is the inverse of a file, affine or not.
    interpolation : {"linear", "nearest", "cubic", "sinc", "label"} or Interpolation
        A name in `warpline.resampling.INTERPOLATIONS`, or one of those functions.
    outside : float, optional
        Value where a point leaves the image. None takes 0, or the background of an image that begins far from 0, as
        CT does, which is logged as a warning; of labels and vectors always 0.
    vectors : {"ras", "lps", "voxel", "none"}, optional
        The image holds three components per voxel in this frame; they are turned with the anatomy. ``"voxel"``: along
        the axes of the grid, of the image before and of the reference after. ``"none"``: each component is carried
        by itself, like the volumes of a series, although the header says that they are vectors.
    geometry : {"sform", "qform"}, optional
        Which matrix of the NIfTI headers to take where both are set; the sform when None.
    backend, threads
        Where it is computed, as in `warpline.backends.select`; where nothing is requested, on the GPU that holds an
        array or `Image`.
    memory : float, optional
        GB (10^9 bytes) that the process may take, the image included: one that needs more as a whole is carried over
        part by part. The result is the same but for the rounding of coordinates; beside places where a displacement is
        NaN one plane more may become unknown. None: what is free. Vectors are always carried over as a whole.

    Returns
    -------
    Image
        On the grid of the reference. Nearest and label keep type and values; the others give float32. Nearest, linear
        and cubic leave the values on the GPU as well, where those of the image are on the one that computes. A warning
        is logged for what the headers leave open, and when no part of the reference is mapped into the image.

    Raises
    ------
    UsageError
        When a choice is not offered, or the header says that the image holds vectors and `vectors` says nothing, or
        `memory` is less than the image, the transforms, the result and the smallest part take.
    InputError
        When an image or a transform cannot be used, or labels have fractions.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 1
    >>> grid = warpline.Grid((2, 2, 2), np.eye(4))
    >>> moving = warpline.Image(np.arange(8, dtype=np.float32).reshape(2, 2, 2), grid)
    >>> warpline.apply(moving, grid, warpline.Affine(shift), outside=-1).data[:, 0, 0]
    array([ 4., -1.], dtype=float32)
    """
    grid = grid_of(reference, "reference", geometry)
    value, chosen = outside or 0.0, select(nearest_backend(backend, image=image), threads)
    if vectors in (None, BY_THEMSELVES):
        warp = _chosen(interpolation)
        source = (read_components if vectors else read_series)(image, "image", geometry)
        if source is not image:
            log_notes(source.grid, grid.notes)
        if warp is INTERPOLATIONS["label"]:
            check_labels(source, "use --interpolation linear")
        elif outside is None:
            value = _background_of(source)
        if warp in (INTERPOLATIONS["label"], INTERPOLATIONS["nearest"]):
            _check_outside(value, source)
        chain = _chain(transforms, grid, source, chosen)
        room = room_for_parts(source, chain, grid, memory, need=Need.of(warp, source, threads))
        if room is not None:
            warp = partial(apply_in_parts, warp, room=room)
        return warp(source, chain, grid, outside=value, backend=chosen, threads=threads)
    if memory is not None:
        raise UsageError("memory limits images, and vectors are carried over as a whole: leave one of them out")
    order, frame = _spline_order(interpolation), str(vectors)
    source = to_world(_vectors(image, geometry, grid), frame)
    chain = _chain(transforms, grid, source, chosen)
    carried = warp_vectors(source, chain, grid, order=order, outside=value, backend=chosen, threads=threads)
    return from_world(carried, frame)


def _vectors(image: Source, geometry: str | None, grid: Grid) -> Image:
    if not isinstance(image, (str, os.PathLike)):
        return read(image, "image", geometry, known=grid.notes)
    found = read_vectors(image, geometry).image
    log_notes(found.grid, grid.notes)
    return found


def jacobian(
    transforms: Entries,
    reference: GridLike,
    *,
    log: bool = False,
    moving: GridLike | None = None,
    geometry: str | None = None,
    backend: str | Backend | None = None,
    threads: int | None = None,
) -> Image:
    """How much the whole map enlarges space at every voxel of a grid: ``det(d transform / dx)``, affine included.

    Above 1 the moving structure is larger than where it lands on the fixed image, below 1 smaller; at or below 0 the
    map folds. It does not depend on the axes of the grid, so it is right on oblique and flipped ones too.

    Parameters
    ----------
    transforms : transform, path or a sequence of them
        As for `apply`.
    reference : Grid, path, nibabel image, Image or (array, affine)
        Of the fixed image.
    log : bool
        Natural logarithm; NaN where the map folds, and a warning says in how many voxels.
    moving : like `reference`, optional
        Some transform formats cannot be read without it.
    geometry : {"sform", "qform"}, optional
        Which matrix of the NIfTI headers to take where both are set; the sform when None.
    backend, threads
        Where it is computed, as in `warpline.backends.select`.

    Returns
    -------
    Image
        float32, on the grid of the reference; derivatives are central differences between its voxels.

    Examples
    --------
    >>> import numpy as np
    >>> import warpline
    >>> wider = warpline.Affine(np.diag([2.0, 1.0, 1.0, 1.0]))
    >>> warpline.jacobian(wider, warpline.Grid((2, 2, 2), np.eye(4))).data.max()
    np.float32(2.0)
    """
    grid = grid_of(reference, "reference", geometry)
    chosen = select(backend, threads)
    chain = read_chain(transforms, fixed=grid, moving=moving, geometry=geometry, backend=chosen)
    values = pullback_determinant(pull_back(chain, grid, chosen), chosen)
    if log:
        folded = int(np.count_nonzero(~(values > 0)))
        if folded:
            _log.warning("%d voxels have no logarithm and become NaN: the map folds there", folded)
        values = np.log(values, out=np.full_like(values, np.nan), where=values > 0)
    return Image(values, grid.bare, "Jacobian determinant")


def check_labels(image: Image, advice: str = "give the label map itself") -> None:
    """Refuse an image that has fractions, and say what to do.

    Raises
    ------
    InputError
        Naming the image and one of its values.
    """
    if image.data.dtype.kind in "biu":
        return
    for slab in slabs(image.data.shape):
        values = np.asarray(image.data[slab], dtype=np.float64)
        odd = values[values != np.rint(values)]
        if odd.size:
            raise InputError(f"{image.name} holds {odd[0]:g}; labels are whole numbers: {advice}")


def _background_of(image: Image) -> float:
    """What lies beyond an image, see `value_beyond`; a warning where it is not 0, or where 0 stands out."""
    found = value_beyond(image)
    if image.data.dtype.kind in "iu":
        found = float(round(found))
    if found:
        _log.warning(
            "beyond %s the result is %g, its background; --outside (outside=) sets another value", image.name, found
        )
    elif lies_far_from_zero(image):
        lowest = float(image.data.min())
        message = "beyond %s, whose values begin at %g, the result is 0; --outside (outside=) sets another value"
        _log.warning(message, image.name, lowest)
    return found


def _chain(transforms: Entries, grid: Grid, image: Image, backend: Backend) -> Chain:
    chain = read_chain(transforms, fixed=grid, moving=image.grid, backend=backend)
    if image.grid.flat and any(isinstance(part, Displacement) and not part.flat for part in chain.parts):
        _log.warning(
            "%s is 2-D and the warp is 3-D: points that it moves out of the plane get what lies beyond the image; "
            "register 2-D images to carry them, or give the whole volume",
            image.name,
        )
    if not _meets(chain, grid, image.grid.in_plane_of(grid) if chain.flat else image.grid):
        _log.warning(
            "no voxel of the reference looks into %s: are the transforms in order, and is the right one inverted?",
            image.name,
        )
    return chain


def _meets(chain: Chain, grid: Grid, target: Grid) -> bool:
    """Whether the box around a lattice of mapped points of `grid` and the box of `target` overlap."""
    axes = (np.linspace(0, n - 1, min(n, _LATTICE)) for n in grid.shape)
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    where = apply_affine(target.inverse_affine, chain.map_points(apply_affine(grid.affine, lattice)))
    where = where[np.isfinite(where).all(axis=1)]
    if not len(where):
        return False
    nearest_to_centre = np.clip((np.array(target.shape) - 1) / 2, where.min(axis=0), where.max(axis=0))
    return bool(inside(nearest_to_centre, target.shape))


def _check_outside(outside: float, image: Image) -> None:
    kind = image.data.dtype
    if kind.kind not in "biu":
        return
    low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind.name).min, np.iinfo(kind.name).max)
    if not (low <= outside <= high and outside == round(outside)):
        raise UsageError(f"outside is {outside:g}; {image.name} holds {kind}, whole numbers from {low} to {high}")


def _chosen(interpolation: str | Interpolation) -> Interpolation:
    if not isinstance(interpolation, str):
        return interpolation
    if interpolation not in INTERPOLATIONS:
        raise UsageError(f"interpolation is {interpolation!r}; choose from {', '.join(INTERPOLATIONS)}")
    return INTERPOLATIONS[interpolation]


def _spline_order(interpolation: str | Interpolation) -> int:
    if interpolation not in SPLINES:
        raise UsageError(f"interpolation of vectors is {interpolation!r}; choose from {', '.join(SPLINES)}")
    return SPLINES[str(interpolation)]
