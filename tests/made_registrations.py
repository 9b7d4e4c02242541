"""A small pair of images and quick recipes, for tests of whole registrations."""

from __future__ import annotations

import numpy as np

from synthetic import ellipsoid, pair_with_known_map
from warpline.images import Image
from warpline.recipe import Recipe
from warpline.space.grid import Grid

SHAPE = (30, 28, 26)
QUICK = Recipe.load("syn").with_options(
    "name=quick",
    "initialise.rotations=false",
    "linear.stages=['rigid']",
    "linear.voxel_sizes=[4.0]",
    "linear.iterations=[10]",
    "syn.factors=[2, 1]",
    "syn.iterations=[10, 5]",
)
QUICK_RIGID = QUICK.with_options("syn=none")
NO_STAGES = QUICK_RIGID.with_options("linear=none")
RESULTS = {
    "affine": "0GenericAffine.mat",
    "warp": "1Warp.nii.gz",
    "inverse_warp": "1InverseWarp.nii.gz",
    "warped": "Warped.nii.gz",
    "inverse_warped": "InverseWarped.nii.gz",
    "overlay": "Overlay.png",
    "deformation": "Grid.png",
    "page": "report.html",
    "report": "report.json",
}
OF_VELOCITY = {"velocity": "Velocity.nii.gz"}
FIXED_AFFINE = np.array(((-1.5, 0, 0, 20), (0, 1.5, 0, -21), (0, 0, 1.5, -18), (0, 0, 0, 1)))
MOVING_AFFINE = np.array(((0, 0, 1.5, -17), (-1.5, 0, 0, 24), (0, 1.5, 0, -22), (0, 0, 0, 1)))


def made_pair():
    """A blob with structure, and the same blob deformed, in another orientation."""
    fixed, moving, _ = pair_with_known_map(SHAPE, seed=4)
    inside = ellipsoid(SHAPE, 0.38)
    fixed, moving = np.where(inside, fixed + 0.5, 0), np.where(inside, moving + 0.5, 0)
    turned = np.ascontiguousarray(np.flip(moving.transpose(1, 2, 0), axis=(0, 2)))
    return Image(fixed.astype(np.float32), Grid(SHAPE, FIXED_AFFINE)), Image(
        turned.astype(np.float32), Grid(turned.shape, MOVING_AFFINE)
    )


def everything_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
