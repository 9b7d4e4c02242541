"""The transform from the coordinates in a GIFTI file to world RAS+ mm.

GIFTI names the space of the coordinates, and may hold a matrix to another space. FreeSurfer's own surface coordinates
(``mris_convert`` without ``--to-scanner``) are of no named space: they count from the middle of a volume along axes of
its own, and the volume's geometry is in the metadata ``VolGeom…``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from nibabel.gifti.gifti import GiftiCoordSystem
from nibabel.nifti1 import xform_codes

from warpline.errors import InputError
from warpline.space.grid import Matrix, apply_affine, check_affine

UNKNOWN, SCANNER = 0, 1

_SYSTEM, _SYSTEM_END = b"<CoordinateSystemTransformMatrix>", b"</CoordinateSystemTransformMatrix>"

_NAMED = {2: "an aligned", 3: "Talairach", 4: "MNI-152", 5: "a template's"}
"""NIfTI's codes of spaces that are no scanner's."""

_STALE = ("VolGeom", "SurfaceCenter")
"""Prefixes of metadata that refer to the former places of the vertices."""

_AGREE = 0.01
"""Difference in mm between two transforms to world space above which a file contradicts itself."""

_SURFACE_AXES = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Directions of the voxel axes along R, A, S on which FreeSurfer's surface coordinates count."""

_USUAL = {a + s: _SURFACE_AXES[row, column] for column, a in enumerate("XYZ") for row, s in enumerate("RAS")}
"""Voxel axis and direction, to the cosine of a volume that does not state it."""

_log = logging.getLogger(__name__)


def to_world(vertices: Any, systems: Sequence[GiftiCoordSystem], name: str) -> Matrix:
    """The matrix (4, 4) from coordinates in the file to world RAS+ mm; a guess is logged as a warning.

    Parameters
    ----------
    vertices : nibabel GiftiDataArray
        The point set.
    systems : sequence of GiftiCoordSystem
        All that its file states of it, as `systems_of` finds them: nibabel keeps the last one only.
    name : str
        What messages call the file.

    Raises
    ------
    InputError
        When a matrix or a geometry in the file is damaged, or they contradict each other.
    """
    kept = vertices.coordsys or GiftiCoordSystem()
    system = next((one for one in systems if SCANNER in (one.dataspace, one.xformspace)), kept)
    if system.dataspace == SCANNER:
        return np.eye(4)
    stated = _stated_matrix(system, name)
    volume = _of_volume(dict(vertices.meta), name) if system.dataspace == UNKNOWN else None
    if stated is not None and volume is not None:
        _check_agreement(stated, volume, np.asarray(vertices.data, np.float64), name)
    if stated is not None:
        _log.warning("%s is not in scanner space; its vertices are taken there by the matrix in the file", name)
        return stated
    if volume is not None:
        centre = ", ".join(f"{value:g}" for value in apply_affine(volume, np.zeros(3)))
        _log.warning(
            "%s is in FreeSurfer's surface coordinates, whose origin is at %s mm in its volume (c_ras): moved there",
            name,
            centre,
        )
        return volume
    _warn_of_guess(system.dataspace, name)
    return np.eye(4)


def systems_of(content: bytes) -> list[GiftiCoordSystem]:
    """The coordinate systems of the point set in a GIFTI file, in their order.

    Raises
    ------
    ValueError
        When one is damaged.
    """
    found = []
    for head in _heads_of_point_sets(content):
        for part in head.split(_SYSTEM)[1:]:
            block = part.partition(_SYSTEM_END)[0]
            space, target, numbers = (_within(block, tag) for tag in (b"DataSpace", b"TransformedSpace", b"MatrixData"))
            matrix = np.array(numbers.split(), np.float64).reshape(4, 4)
            found.append(GiftiCoordSystem(xform_codes.code[space], xform_codes.code[target], matrix))
    return found


def _heads_of_point_sets(content: bytes) -> Iterator[bytes]:
    """The XML before the numbers of each point set; every byte of the file is scanned once."""
    place = content.find(b"<DataArray")
    while place >= 0:
        opened, end = content.find(b">", place), content.find(b"</DataArray>", place)
        if min(opened, end) < 0:
            return
        if b"NIFTI_INTENT_POINTSET" in content[place:opened]:
            yield content[place:end].partition(b"<Data>")[0]
        place = content.find(b"<DataArray", end)


def _within(block: bytes, tag: bytes) -> str:
    _, opened, rest = block.partition(b"<" + tag + b">")
    text, closed, _ = rest.partition(b"</" + tag + b">")
    if not (opened and closed):
        raise ValueError(f"a coordinate system has no {tag.decode()}")
    return text.decode("latin-1").replace("<![CDATA[", "").replace("]]>", "").strip()


def place_in_scanner_space(vertices: Any) -> None:
    """Mark a point set as one of scanner space, and remove metadata that refer to another space."""
    vertices.coordsys = GiftiCoordSystem(SCANNER, SCANNER, np.eye(4))
    drop_stale(vertices.meta)


def drop_stale(meta: Any) -> None:
    """Remove metadata that refer to the former places of the vertices."""
    for key in [key for key in meta if key.startswith(_STALE)]:
        del meta[key]


def _stated_matrix(system: GiftiCoordSystem, name: str) -> Matrix | None:
    """The file's own matrix to scanner space."""
    if system.xformspace != SCANNER:
        return None
    return check_affine(system.xform, f"{name}: its matrix to scanner space")


def _of_volume(meta: Mapping[str, str], name: str) -> Matrix | None:
    """From FreeSurfer's surface coordinates to the world of the volume in the metadata; None where there is none."""
    if not any(key.startswith("VolGeomC_") for key in meta):
        return None
    try:
        axes = np.array([[float(meta.get(f"VolGeom{a}_{s}", _USUAL[a + s])) for a in "XYZ"] for s in "RAS"])
        centre = np.array([float(meta[f"VolGeomC_{side}"]) for side in "RAS"])
    except (KeyError, ValueError) as error:
        raise InputError(f"{name} has a damaged volume geometry (VolGeom…: {error}); convert it --to-scanner") from None
    matrix = np.eye(4)
    matrix[:3, :3] = axes @ _SURFACE_AXES.T
    matrix[:3, 3] = centre
    return check_affine(matrix, f"{name}: the volume geometry in its metadata")


def _check_agreement(stated: Matrix, volume: Matrix, points: Matrix, name: str) -> None:
    gap = float(np.abs(apply_affine(stated, points) - apply_affine(volume, points)).max(initial=0))
    if gap > _AGREE:
        raise InputError(
            f"{name} contradicts itself: its matrix to scanner space and the geometry of its volume (VolGeom…) are "
            f"{gap:.2f} mm apart; export it again with mris_convert --to-scanner"
        )


def _warn_of_guess(space: int, name: str) -> None:
    if space in _NAMED:
        text = "%s is in %s space; its vertices are taken as world mm, right if the images are in that space too"
        _log.warning(text, name, _NAMED[space])
        return
    _log.warning("%s does not say in which space it is; its vertices are taken as world mm of its image", name)
