"""A head, a copy of it in another pose, and faults of headers."""

from __future__ import annotations

from functools import cache

import numpy as np

from made_heads import lattice, scan
from warpline.images import Image
from warpline.space.grid import Grid

TURN = np.array([[0.995, -0.0998, 0, 4.0], [0.0998, 0.995, 0, -3.0], [0, 0, 1, 5.0], [0, 0, 0, 1]])
"""Pose of the second head, 6 degrees and some mm from the first."""


@cache
def heads():
    """Reference and image, right headers, unlike contrasts."""
    return scanned(lattice(size=4.0, shape=(33, 40, 30)), lattice(size=5.0, shape=(28, 34, 25)))


@cache
def coarse_heads():
    """The same in larger voxels, for checks as a whole: fewer voxels are compared, which is what takes time."""
    return scanned(lattice(size=5.0, shape=(27, 32, 24)), lattice(size=6.0, shape=(24, 29, 21)))


def scanned(reference, image):
    """The head on the grid of a reference, and on that of an image in another pose."""
    contrast = scan(image, TURN, contrast=lambda v: np.sqrt(v) * 20, name="image")
    return scan(reference, name="reference"), contrast


def flipped(image, axis):
    """The array mirrored, the header as it was."""
    return Image(np.ascontiguousarray(np.flip(image.data, axis)), image.grid, image.name)


def scaled(image, factors, *, origin=True):
    """Other voxel sizes in the header, and the origin scaled alike."""
    affine = image.grid.affine.copy()
    affine[:3, :3] *= factors
    affine[:3, 3] *= np.mean(factors) if origin else 1
    return Image(image.data, Grid(image.grid.shape, affine), image.name)


def swapped(image):
    """The first two axes of the array exchanged, the header as it was."""
    data = np.ascontiguousarray(image.data.transpose(1, 0, 2))
    return Image(data, Grid(data.shape, image.grid.affine), image.name)


def shifted(image, by):
    """Another origin in the header."""
    affine = image.grid.affine.copy()
    affine[:3, 3] += by
    return Image(image.data, Grid(image.grid.shape, affine), image.name)
