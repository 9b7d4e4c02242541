"""Resampling: SciPy's interpolation on all cores or a GPU, and images through transforms onto grids."""

from __future__ import annotations

from typing import Protocol

from warpline.backends import Backend
from warpline.images import Image
from warpline.resampling.interpolation import Mode, affine_transform, map_coordinates
from warpline.resampling.labels import warp_labels
from warpline.resampling.sinc import warp_sinc
from warpline.resampling.vectors import warp_vectors
from warpline.resampling.warping import ORDERS, resample, warp
from warpline.space import Transform
from warpline.space.dense import Pullback, pull_back
from warpline.space.grid import Grid

__all__ = [
    "INTERPOLATIONS",
    "ORDERS",
    "SPLINES",
    "Interpolation",
    "Mode",
    "Pullback",
    "affine_transform",
    "map_coordinates",
    "pull_back",
    "resample",
    "warp",
    "warp_labels",
    "warp_sinc",
    "warp_vectors",
]


class Interpolation(Protocol):
    """A function that resamples an image through a transform onto a grid, in one interpolation.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline import Affine, Grid, Image
    >>> from warpline.backends import select
    >>> from warpline.resampling import INTERPOLATIONS
    >>> image = Image(np.arange(4, dtype=np.float32).reshape(4, 1, 1), Grid((4, 1, 1), np.eye(4)))
    >>> finer = Grid((7, 1, 1), np.diag([0.5, 1.0, 1.0, 1.0]))
    >>> warped = INTERPOLATIONS["linear"](image, Affine.identity(), finer, outside=0.0, backend=select("numpy"))
    >>> warped.data.ravel().tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    """

    def __call__(
        self,
        image: Image,
        transform: Transform,
        grid: Grid,
        *,
        outside: float,
        backend: Backend,
        threads: int | None = None,
    ) -> Image:
        """``out(x) = image(transform(x))``.

        Parameters
        ----------
        image : Image
            3-D, or 4-D: then volume by volume.
        transform : Affine, Displacement or Chain
            World points (RAS+ mm) of `grid` to world points of `image`.
        grid : Grid
            Grid of the result.
        outside : float
            Value where the point leaves the image.
        backend : Backend
            Samples the image, or only composes the transforms where the interpolation runs on the CPU.
        threads : int, optional
            CPU threads, as in `warpline.backends.thread_count`.
        """


def _spline(order: int) -> Interpolation:
    def resampled(
        image: Image, transform: Transform, grid: Grid, *, outside: float, backend: Backend, threads: int | None = None
    ) -> Image:
        return warp(image, transform, grid, order=order, outside=outside, backend=backend)

    return resampled


SPLINES = {"linear": 1, "nearest": 0, "cubic": 3}
"""Name to order of the interpolations that a backend computes."""

INTERPOLATIONS: dict[str, Interpolation] = {
    **{name: _spline(order) for name, order in SPLINES.items()},
    "sinc": warp_sinc,
    "label": warp_labels,
}
"""Name to interpolation, as ``warpline apply --interpolation`` takes it."""
