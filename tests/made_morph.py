"""FreeSurfer's morph files, laid out by hand."""

from __future__ import annotations

import struct

import numpy as np

from warpline.space.grid import apply_affine


def volume(grid, valid=1):
    cosines = grid.affine[:3, :3] / grid.voxel_size
    middle = apply_affine(grid.affine, np.array(grid.shape) / 2)
    values = (*grid.voxel_size, *cosines.T.ravel(), *middle)
    return struct.pack(">4i15f", valid, *grid.shape, *values) + b"unknown".ljust(512, b"\0")


def morph(places, atlas, image, *, spacing=1, kind=2, valid=1, labels=False):
    """The bytes of a file whose node (i, j, k) lies at `places` (I, J, K, 3)."""
    nodes = np.zeros(places.shape[:3], [("before", ">f4", 3), ("place", ">f4", 3), ("index", ">i4", 3)])
    nodes["before"], nodes["place"] = places, places
    parts = [struct.pack(">f4if", 1.0, *places.shape[:3], spacing, 20.0), nodes.tobytes()]
    if labels:
        parts.append(struct.pack(">i", 12) + bytes(4 * places[..., 0].size))
    parts += [struct.pack(">i", 10), volume(image, valid), volume(atlas, valid), struct.pack(">2i", 11, kind)]
    return b"".join(parts)
