"""World space: grids, and the transforms that map fixed world points to moving world points (RAS+ mm)."""

from warpline.space.affine import Affine
from warpline.space.chain import Chain, Part, Transform
from warpline.space.dense import displacement_on
from warpline.space.displacement import Displacement
from warpline.space.grid import Grid

__all__ = ["Affine", "Chain", "Displacement", "Grid", "Part", "Transform", "displacement_on"]
