"""Transforms: values that map fixed world points to moving world points (RAS+ mm)."""

from warpline.transforms.affine import Affine
from warpline.transforms.chain import Chain, Part, Transform
from warpline.transforms.dense import displacement_on
from warpline.transforms.displacement import Displacement

__all__ = ["Affine", "Chain", "Displacement", "Part", "Transform", "displacement_on"]
