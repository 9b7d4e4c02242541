"""Images of MONAI through warpline: a MetaTensor with its affine in, one out, on the device that is asked for."""

from __future__ import annotations

from typing import Any

import torch
from monai.data import MetaTensor

import warpline


def as_meta_tensor(image: warpline.Image, device: str = "cpu") -> MetaTensor:
    """A volume as a MetaTensor, channels first: (1, I, J, K)."""
    values = torch.from_dlpack(image).to(device)
    return MetaTensor(values[None], affine=torch.tensor(image.affine))


def register(fixed: MetaTensor, moving: MetaTensor, recipe: str = "syn", **options: Any) -> MetaTensor:
    """The moving image on the grid of the fixed one, both (1, I, J, K); affines are those of the tensors."""
    result = warpline.register(fixed[0], moving[0], recipe, **options)
    return as_meta_tensor(result.warped, str(fixed.device))
