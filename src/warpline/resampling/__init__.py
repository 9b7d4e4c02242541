"""Resampling: SciPy's interpolation on every core, and images carried through transforms onto grids."""

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
    """What carries an image through a transform onto a grid, in one interpolation."""

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
        """``out(x) = image(transform(x))`` on `grid`; `outside` beyond the image."""
        ...


def _spline(order: int) -> Interpolation:
    def carry(
        image: Image,
        transform: Transform,
        grid: Grid,
        *,
        outside: float,
        backend: Backend,
        threads: int | None = None,
    ) -> Image:
        return warp(image, transform, grid, order=order, outside=outside, backend=backend)

    return carry


SPLINES = {"linear": 1, "nearest": 0, "cubic": 3}
"""Name to order of the interpolations that a backend computes."""

INTERPOLATIONS: dict[str, Interpolation] = {
    **{name: _spline(order) for name, order in SPLINES.items()},
    "sinc": warp_sinc,
    "label": warp_labels,
}
"""Name to interpolation, as ``warpline apply --interpolation`` takes it."""
