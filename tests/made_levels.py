"""Single levels of pyramids, made from arrays or images."""

from __future__ import annotations

import numpy as np

from warpline.backends import select
from warpline.images.intensity import normalise
from warpline.registration.pyramid import PyramidLevel, build_pyramid
from warpline.space.grid import Grid


def level_of(volume, size=(1.0, 1.0, 1.0), mask=None):
    """A volume (I, J, K) as a level, in memory of the NumPy backend; voxels of `size` mm."""
    return PyramidLevel(volume, Grid(volume.shape, np.diag([*size, 1.0])), np.zeros(3), select("numpy"), mask)


def levels_of(image, spacings, backend, mask=None):
    """The pyramid of an image, which is normalised first."""
    return build_pyramid(normalise(image, backend, mask), spacings, backend)
