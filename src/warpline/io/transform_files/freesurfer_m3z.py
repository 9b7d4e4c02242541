"""FreeSurfer's morphs (``.m3z``, as mri_ca_register writes ``talairach.m3z``), read only.

Big-endian: version 1.0, shape of the lattice of nodes, their spacing in voxels of the atlas, a weight; then for
each node (x slowest) three floats where it was, three where it is, three integers; then numbered sections, of which
10 describes both volumes (`freesurfer_space`) and 11 says whether places are voxels (2) or RAS mm (1) of the image.
The atlas is our fixed image. A node of zeros was never placed and becomes NaN.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpline.errors import InputError
from warpline.io.compression import open_stream
from warpline.io.transform_files import nifti_fields
from warpline.io.transform_files.format import Format, Head
from warpline.io.transform_files.freesurfer_space import Volume
from warpline.space import Displacement
from warpline.space.grid import Grid

_HEADER = struct.Struct(">f4if")
_NODE = np.dtype([("before", ">f4", 3), ("place", ">f4", 3), ("index", ">i4", 3)])
_VOLUME = struct.Struct(">4i15f512x")
_NUMBER = struct.Struct(">i")
_GEOMETRY, _TYPE, _LABELS = 10, 11, 12
_IN_RAS, _IN_VOXELS = 1, 2
_LONGEST = 4096


def matches(head: Head) -> bool:
    """Whether a file begins with the version and plausible sizes."""
    if len(head.content) < _HEADER.size:
        return False
    version, *sizes, _ = _HEADER.unpack_from(head.content)
    return version == 1.0 and all(0 < size <= _LONGEST for size in sizes)


def read(path: Path) -> Displacement:
    """Read the places of the nodes as displacements on their lattice: atlas world to image world.

    Raises
    ------
    InputError
        When the file is damaged or cut short, or does not describe its volumes.
    """
    shape, spacing, nodes, rest = _content(path)
    atlas, image, in_world = _sections(rest, int(np.prod(shape)), path)
    step = np.diag([spacing, spacing, spacing, 1.0])
    lattice = Grid(shape, atlas.affine @ step)
    places = nifti_fields.components_first(nodes["place"])
    places[:, ~(nodes["before"].any(axis=-1) | nodes["place"].any(axis=-1))] = np.nan
    if np.isinf(places).any() or np.isnan(places).all():
        raise InputError(f"{path} has infinite places or none at all; write the morph again")
    to_world = np.eye(4) if in_world else image.affine
    constant = np.zeros((4, 4))
    constant[:, 3] = to_world[:, 3] * (not in_world)
    return Displacement(nifti_fields.transform_vectors(places, to_world, constant - lattice.affine), lattice)


def _content(path: Path) -> tuple[tuple[int, int, int], int, NDArray[np.void], bytes]:
    with open_stream(path) as (stream, limit):
        header = stream.read(_HEADER.size)
        if not matches(Head(path, header)):
            raise InputError(f"{path} is no FreeSurfer morph; version 1.0 and sizes up to {_LONGEST} are needed")
        _, width, height, depth, spacing, _ = _HEADER.unpack(header)
        size = width * height * depth * _NODE.itemsize
        body = stream.read(size) if size <= limit else b""
        if len(body) < size:
            raise InputError(f"{path} is truncated: {width} x {height} x {depth} nodes need {size} bytes; copy it anew")
        rest = stream.read(2 * _VOLUME.size + 4 * _NUMBER.size + 4 * (size // _NODE.itemsize))
    shape = (width, height, depth)
    return shape, spacing, np.frombuffer(body, _NODE).reshape(shape), rest


def _sections(rest: bytes, count: int, path: Path) -> tuple[Grid, Grid, bool]:
    """Grids of atlas and image, and whether places are in RAS mm."""
    volumes: list[Grid] = []
    kind, position = _IN_VOXELS, 0
    while position + 2 * _NUMBER.size <= len(rest):
        (section,) = _NUMBER.unpack_from(rest, position)
        position += _NUMBER.size
        if section == _GEOMETRY and position + 2 * _VOLUME.size <= len(rest):
            volumes = [_volume(rest, position + n * _VOLUME.size, path) for n in (0, 1)]
            position += 2 * _VOLUME.size
        elif section == _TYPE:
            (kind,) = _NUMBER.unpack_from(rest, position)
            position += _NUMBER.size
        elif section == _LABELS:
            position += 4 * count
        else:
            break
    if not volumes or kind not in (_IN_RAS, _IN_VOXELS):
        raise InputError(f"{path} does not describe its volumes, or its type {kind} is neither 1 nor 2; write it again")
    image, atlas = volumes
    return atlas, image, kind == _IN_RAS


def _volume(content: bytes, start: int, path: Path) -> Grid:
    valid, *numbers = _VOLUME.unpack_from(content, start)
    if valid != 1:
        raise InputError(f"{path} marks the geometry of a volume as not valid; write the morph again")
    values = np.array(numbers, dtype=np.float64)
    volume = Volume(values[:3], values[3:6], values[6:15].reshape(3, 3).T, values[15:])
    return volume.grid(f"{path}: a volume of it")


FORMAT = Format(
    about="FreeSurfer morph (.m3z)",
    stores="places in the image (moving), for the voxels of the atlas (fixed)",
    unit="voxels of the image, or mm, RAS",
    holds=Displacement,
    suffixes=(".m3z", ".m3d"),
    matches=matches,
    read=read,
)
