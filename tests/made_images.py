"""Images of every orientation and type, and NIfTI files to change."""

from __future__ import annotations

import struct

import nibabel
import numpy as np
from scipy.spatial.transform import Rotation

from warpline.space.grid import Grid

TURN = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()


RADIOLOGICAL = np.diag((-1.0, 1.0, 1.0))


PERMUTED = np.array(((0, 0, -1), (1, 0, 0), (0, 1, 0)), float)


ORIENTATIONS = {
    "axes": np.eye(3),
    "flipped": RADIOLOGICAL,
    "permuted": PERMUTED,
    "oblique": TURN,
    "both": TURN @ RADIOLOGICAL,
}


def grid_of(orientation, shape=(7, 6, 5)):
    affine = np.eye(4)
    affine[:3, :3] = ORIENTATIONS[orientation] @ np.diag((0.8, 1.1, 2.3))
    affine[:3, 3] = (-12.5, 30.25, 7.0)
    return Grid(shape, affine)


def values_of(dtype, shape=(7, 6, 5)):
    rng = np.random.default_rng(3)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def nifti(array, affine=None, **fields):
    image = nibabel.Nifti1Image(array, np.diag((2, 2, 2, 1.0)) if affine is None else affine)
    for key, value in fields.items():
        image.header[key] = value
    return image


def patched(raw, offset, layout, *values):
    raw = bytearray(raw)
    struct.pack_into(layout, raw, offset, *values)
    return bytes(raw)
