"""A thumbnail of a result, one for every pair of a cohort."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from warpline.images import Image
from warpline.report.colour_ramps import bytes_of
from warpline.report.pair_layers import gray_levels
from warpline.report.slice_interpolation import Plane
from warpline.report.slices import display_range, slice_series

WIDTH, HEIGHT = 288, 96
"""Pixels of either half."""


def thumbnail(fixed: Image, warped: Image) -> bytes:
    """A small WebP of a result: slices of the fixed image on the left half, the same slices of the warped on the right.

    Parameters
    ----------
    fixed, warped : Image
        On any grids; the fixed image chooses the slices.

    Returns
    -------
    bytes
        576 x 96 pixels, grey, about 6 kB.
    """
    from PIL import Image as Picture

    slices = [row[len(row) // 2] for row in slice_series(fixed, 3, HEIGHT)]
    halves = []
    for image in (fixed, warped):
        shades = display_range(image)
        halves.append(_centred([gray_levels((section,), image, shades)[0] for section in slices]))
    packed = io.BytesIO()
    Picture.fromarray(bytes_of(np.hstack(halves))).save(packed, format="WEBP", quality=60, method=4)
    return packed.getvalue()


def _centred(planes: Sequence[Plane]) -> Plane:
    """Planes in equal boxes of half a thumbnail, each in the middle of its own."""
    canvas = np.zeros((HEIGHT, WIDTH), np.float32)
    box = WIDTH // len(planes)
    for number, plane in enumerate(planes):
        seen = plane[:HEIGHT, :box]
        top, left = (HEIGHT - seen.shape[0]) // 2, number * box + (box - seen.shape[1]) // 2
        canvas[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
    return canvas
