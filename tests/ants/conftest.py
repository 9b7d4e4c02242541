"""A synthetic pair for the tests of this room."""

from __future__ import annotations

import nibabel
import pytest

from template_fixtures import slices
from warpline.phantom import brain_pair

__all__ = ["slices"]


@pytest.fixture(scope="module")
def pair():
    """Fixed and moving phantom as nibabel images."""
    made = brain_pair((32, 37, 32), voxel_size=6.0)
    return [nibabel.Nifti1Image(image.data, image.affine) for image in (made.fixed, made.moving)]
