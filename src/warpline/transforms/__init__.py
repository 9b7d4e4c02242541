"""Transforms: values that map fixed world points to moving world points (RAS+ mm)."""

from warpline.transforms.affine import Affine
from warpline.transforms.chain import Chain, Part
from warpline.transforms.displacement import Displacement

__all__ = ["Affine", "Chain", "Displacement", "Part"]
