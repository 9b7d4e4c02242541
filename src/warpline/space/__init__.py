"""World space: grids, and the transforms that map fixed world points to moving world points (RAS+ mm)."""

from warpline.space.dense import displacement_on
from warpline.space.grid import Grid, apply_affine
from warpline.space.transforms import Affine, Chain, Displacement, Part, Transform
from warpline.space.velocity import exponential

__all__ = [
    "Affine",
    "Chain",
    "Displacement",
    "Grid",
    "Part",
    "Transform",
    "apply_affine",
    "displacement_on",
    "exponential",
]
