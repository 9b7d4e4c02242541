"""Images of TorchIO through warpline: a ScalarImage with its affine in, one out."""

from __future__ import annotations

from typing import Any

import torch
import torchio

import warpline


def register(
    fixed: torchio.ScalarImage, moving: torchio.ScalarImage, recipe: str = "syn", **options: Any
) -> torchio.ScalarImage:
    """The moving image on the grid of the fixed one; both have one channel, which comes first."""
    images = [(image.data[0], image.affine) for image in (fixed, moving)]
    warped = warpline.register(*images, recipe, **options).warped
    return torchio.ScalarImage(tensor=torch.from_dlpack(warped)[None], affine=warped.affine)
