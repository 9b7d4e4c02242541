"""What the figures show: two synthetic brains, registered once for all of them."""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib.axes import Axes

import warpline
from warpline.phantom import PhantomPair, brain_pair

AXIAL = 52
"""The slice that is shown, of a brain of 112 x 96 x 96 voxels of 2 mm."""


@cache
def pair() -> PhantomPair:
    """Both brains at 2 mm, with the true map."""
    return brain_pair((96, 112, 96), voxel_size=2.0)


@cache
def registered() -> warpline.Registration:
    """The moving brain registered onto the fixed one by recipe syn."""
    return warpline.register(pair().fixed, pair().moving)


def show(axis: Axes, plane: np.ndarray, title: str = "", **how: object) -> None:
    """Draw a plane (I, J) with the front of the head up."""
    axis.imshow(plane.T, origin="lower", **{"cmap": "gray", **how})
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
