"""A slice and atlases of it: moved, with labels of their own."""

from __future__ import annotations

import numpy as np
import pytest

from warpline.images import Image
from warpline.io.images import write_image

SIDE = 32


def drawn(dx=0.0, dy=0.0):
    """A shape with texture, shifted by voxels, and its two labels."""
    x, y = np.indices((SIDE, SIDE)) - 15.5
    x, y = x - dx, y - dy
    shape = np.exp(-(x**2 + 2 * y**2) / 80) * (2 + np.sin(x) + np.cos(1.3 * y + x / 3))
    inside = x**2 / 110 + y**2 / 55 < 1
    return shape.astype(np.float32), (inside * np.where(x > 0, 7, 3)).astype(np.uint16)


@pytest.fixture(scope="session")
def target():
    """What is labelled: image, and its true labels."""
    return drawn()


@pytest.fixture(scope="session")
def atlases():
    """Three atlases as arrays."""
    return [drawn(1, 0), drawn(0, 2), drawn(-1, -1)]


@pytest.fixture
def files(target, atlases, tmp_path):
    """The same as files: the image, and pairs of image and labels."""
    path = tmp_path / "target.nii.gz"
    write_image(Image.from_array(target[0]), path)
    pairs = []
    for number, (image, labels) in enumerate(atlases):
        pair = tmp_path / f"atlas{number}.nii.gz", tmp_path / f"atlas{number}_labels.nii.gz"
        for data, where in zip((image, labels), pair, strict=True):
            write_image(Image.from_array(data), where)
        pairs.append(tuple(map(str, pair)))
    return str(path), pairs
