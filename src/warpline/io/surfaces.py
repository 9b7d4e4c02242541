"""Surfaces in GIFTI files (``.surf.gii``): vertices in world RAS+ mm, whatever space the file is in."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError, UsageError
from warpline.io import surface_spaces
from warpline.io.atomic import write_atomic
from warpline.io.gifti_checks import check_gifti
from warpline.io.limits import MEGABYTE, read_bounded
from warpline.space.grid import apply_affine

_VERTICES = "NIFTI_INTENT_POINTSET"
_TRIANGLES = "NIFTI_INTENT_TRIANGLE"
_NORMALS = "NIFTI_INTENT_VECTOR"
_LONGEST = 256 * MEGABYTE
"""Bytes of the longest file: five million vertices in text form."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh and its file.

    Parameters
    ----------
    points : (N, 3) float64
        Vertices: world, RAS+ mm.
    gifti : nibabel GiftiImage
        As read.
    """

    points: NDArray[np.float64]
    gifti: Any


def read_surface(path: str | os.PathLike[str]) -> Surface:
    """Read the vertices of a GIFTI surface.

    Converted from the space that the file states, see `warpline.io.surface_spaces`.

    Raises
    ------
    InputError
        When the file is missing, damaged, has not one array of vertices, these are not finite, or what it says of their
        space contradicts itself.
    """
    path = Path(path)
    content = read_bounded(path, _LONGEST)
    check_gifti(content, path)
    try:
        gifti = nibabel.GiftiImage.from_bytes(content)
        (vertices,) = gifti.get_arrays_from_intent(_VERTICES)
        points = np.asarray(vertices.data, dtype=np.float64)
        systems = surface_spaces.systems_of(content)
    except Exception as error:  # nibabel meets damage with errors of many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path} is no readable surface ({reason}); GIFTI with one point set is needed") from None
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"{path} has vertices of shape {points.shape}, or not finite; (N, 3) in mm is needed")
    return Surface(apply_affine(surface_spaces.to_world(vertices, systems, str(path)), points), gifti)


def triangles_of(surface: Surface, name: str) -> NDArray[np.int64] | None:
    """The triangles (M, 3) of a surface as indices of its vertices; None where its file has none.

    Parameters
    ----------
    surface : Surface
        As `read_surface` returns it.
    name : str
        What messages call its file.

    Raises
    ------
    InputError
        When they name vertices that are not there.
    """
    found = surface.gifti.get_arrays_from_intent(_TRIANGLES)
    if not found:
        return None
    triangles = np.asarray(found[0].data)
    fits = triangles.ndim == 2 and triangles.shape[1] == 3 and np.issubdtype(triangles.dtype, np.integer)
    if not fits or (triangles.size and not 0 <= triangles.min() <= triangles.max() < len(surface.points)):
        raise InputError(
            f"{name} has triangles of shape {triangles.shape} that are no indices of its {len(surface.points)} "
            "vertices; write it again with the tool that made it"
        )
    return triangles.astype(np.int64)


def check_surface_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name that ends otherwise.

    Raises
    ------
    UsageError
        When the name does not end in ``.gii``.
    """
    if not os.fspath(path).endswith(".gii"):
        raise UsageError(f"{os.fspath(path)} is no name for a surface; let it end in .surf.gii")


def write_surface(surface: Surface, path: str | os.PathLike[str], points: NDArray[np.float64]) -> None:
    """Write the surface with its vertices at `points` (N, 3), complete or not at all, marked as of scanner space.

    Metadata and normals that refer to the former places of the vertices are removed.

    Raises
    ------
    UsageError
        When the name does not end in ``.gii``.
    OutputError
        When the file cannot be written.
    """
    check_surface_name(path)
    moved = nibabel.GiftiImage.from_bytes(surface.gifti.to_bytes())
    (vertices,) = moved.get_arrays_from_intent(_VERTICES)
    vertices.data = points.astype(np.float32)
    surface_spaces.place_in_scanner_space(vertices)
    surface_spaces.drop_stale(moved.meta)
    normals = moved.get_arrays_from_intent(_NORMALS)
    if normals:
        _log.warning("%s is written without the normals of the surface that was read; they do not fit any more", path)
    moved.darrays = [array for array in moved.darrays if array not in normals]
    write_atomic(Path(path), moved.to_bytes())
