"""The layers of a pair's viewer: mosaics of slices that a page lays over each other."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from warpline.images import Image
from warpline.report.colour_ramps import HEAT, MAGMA, SHRINKS_GROWS, bytes_of, coloured
from warpline.report.display_maps import (
    DeformationMaps,
    body_masks,
    local_mismatch,
    otsu_thresholds_of_each,
    rescale_intensity,
    round_up,
)
from warpline.report.slice_interpolation import Planes
from warpline.report.slices import Slice, display_range, sample_slices, slice_series
from warpline.space import Displacement

SPACING, MAX_SLICES = 3.0, 72
"""Millimetres between slices of a view, and most slices: thicker volumes have them further apart."""

MAX_PIXELS, MAX_PIXELS_2D = 144, 640
"""Most pixels along a side of a slice: of volumes, of 2-D images."""

COARSER = 2
"""Pixels of the grey layers for one pixel of the layers of deformation and mismatch, along rows and columns."""

RAMPS = {
    "jacobian": ",".join(SHRINKS_GROWS),
    "displacement": ",".join(MAGMA),
    "mismatch": ",".join(HEAT),
    "uncertainty": ",".join(MAGMA),
}
"""Colours of the coloured layers from the least to the largest value, evenly spaced; the viewer has all but one."""

BRIGHTEST = 99.5
"""Percentile of the uncertainty that has the last colour."""

_GRID_LINES = 22
"""About how many lines of the warped grid cross the longest side of a slice."""


@dataclass(frozen=True, eq=False)
class Layers:
    """What the viewer shows of one pair.

    Parameters
    ----------
    pictures : dict of str to bytes
        JPEG mosaics, a row of tiles for each view, a tile for each slice: ``fixed``, ``before`` and ``after``; at half
        the resolution ``mismatch``, where there is one ``uncertainty``, and for deformable maps ``jacobian`` in
        colours, ``displacement``, and its components ``across`` and ``down`` the page, from which the viewer draws
        the warped grid.
    views : tuple of dict
        For each view: name, width, height (pixels of a tile), letters (left, right, bottom, top), and for each cut
        its position in mm along the view's normal (world) and the two shades that part its tissues; ``worst``: the cut
        where the images fit worst, and the place on it as shares of its width and height.
    scales : dict
        ``pixel``: its side in mm; ``grid``: spacing of its lines in mm; ``jacobian``: largest log-Jacobian
        coloured; ``displacement``: the longest in mm; ``uncertainty``: the largest coloured, in mm.
    """

    pictures: Mapping[str, bytes]
    views: tuple[Mapping[str, Any], ...]
    scales: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class FixedSlices:
    """A fixed image on its slices: what all pairs share that were registered to it.

    Parameters
    ----------
    rows : tuple of tuple of Slice
        For each view its slices.
    picture : bytes
        Its mosaic.
    small : tuple of (N, H, W)
        Its shades at half the resolution.
    bodies : tuple of (N, H, W)
        1 where it shows something, see `body_masks`.
    tissues : tuple of list of shades
        That part the tissues of each slice.
    """

    rows: tuple[tuple[Slice, ...], ...]
    picture: bytes
    small: tuple[Planes, ...]
    bodies: tuple[Planes, ...]
    tissues: tuple[list[tuple[float, ...]], ...]

    @classmethod
    def of(cls, fixed: Image) -> FixedSlices:
        """Slice an image."""
        flat = 1 in fixed.grid.shape
        rows = slice_series(fixed, MAX_SLICES, MAX_PIXELS_2D if flat else MAX_PIXELS, spacing=SPACING)
        picture, small = _gray_mosaic(rows, fixed)
        tissues = tuple(otsu_thresholds_of_each(gaussian_filter(planes, (0, 0.4, 0.4))) for planes in small)
        return cls(rows, picture, small, tuple(body_masks(planes, 0.75) for planes in small), tissues)


def draw_layers(
    fixed: Image | FixedSlices,
    before: Image,
    after: Image,
    warp: Displacement | None = None,
    *,
    uncertainty: Image | None = None,
) -> Layers:
    """Draw all layers of a pair.

    Parameters
    ----------
    fixed : Image or FixedSlices
        Chooses the slices.
    before, after : Image
        The moving image before and after registration, on any grid.
    warp : Displacement, optional
        The deformable part of the map, on any grid.
    uncertainty : Image, optional
        Of the map, in mm, on any grid.
    """
    side = fixed if isinstance(fixed, FixedSlices) else FixedSlices.of(fixed)
    pictures = {"fixed": side.picture, "before": _gray_mosaic(side.rows, before)[0]}
    pictures["after"], small = _gray_mosaic(side.rows, after)
    mismatch = [local_mismatch(*planes) for planes in zip(side.small, small, strict=True)]
    pictures["mismatch"] = encode(_mosaic(mismatch), 50)
    scales = {"pixel": float(side.rows[0][0].pixel)}
    if warp is not None:
        drawn = _Deformation.of(side, warp)
        pictures |= drawn.pictures()
        scales |= drawn.scales
    if uncertainty is not None:
        pictures["uncertainty"], scales["uncertainty"] = _uncertainty_mosaic(side, uncertainty)
    return Layers(pictures, tuple(_views(side, mismatch)), scales)


def _gray_mosaic(rows: Sequence[Sequence[Slice]], image: Image) -> tuple[bytes, tuple[Planes, ...]]:
    """An image on slices: the mosaic, and the shades at half the resolution."""
    limits, flat = display_range(image), 1 in rows[0][0].grid.shape
    seen = [gray_levels(row, image, limits) for row in rows]
    return encode(_mosaic(seen), 85 if flat else 55), tuple(_downsampled(planes) for planes in seen)


def _uncertainty_mosaic(side: FixedSlices, image: Image) -> tuple[bytes, float]:
    """An uncertainty inside the body at half the resolution, as shares of the largest that is coloured, and that."""
    seen = [_downsampled(sample_slices(row, image, 1)) * body for row, body in zip(side.rows, side.bodies, strict=True)]
    inside = np.concatenate([plane[body > 0.5] for plane, body in zip(seen, side.bodies, strict=True)])
    largest = round_up(float(np.percentile(inside, BRIGHTEST)) if inside.size else 0.0)
    return encode(_mosaic([plane / np.float32(largest) for plane in seen]), 75), largest


def gray_levels(slices: Sequence[Slice], image: Image, limits: tuple[float, float]) -> Planes:
    """Shades from 0 to 1 of parallel slices, averaged where voxels are finer than pixels: (N, H, W)."""
    return rescale_intensity(sample_slices(slices, image, slices[0].samples_per_pixel(image)), *limits)


def _downsampled(planes: Planes) -> Planes:
    """Means of neighbouring pixels, those of the last row and column alone: (N, ceil(H / 2), ceil(W / 2))."""
    even = np.pad(planes, [(0, 0), *((0, size % COARSER) for size in planes.shape[1:])], mode="edge")
    return np.asarray((even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4)


def _views(side: FixedSlices, mismatch: Sequence[Planes]) -> Iterator[dict[str, Any]]:
    worst = _worst_match(side.rows, mismatch)
    for slices, tissues in zip(side.rows, side.tissues, strict=True):
        height, width = slices[0].voxels.shape[1:]
        yield {
            "name": slices[0].name,
            "width": width,
            "height": height,
            "letters": slices[0].letters,
            "positions": [round(section.position, 1) for section in slices],
            "tissues": tissues,
            "worst": slices[0].locate(slices, worst),
        }


def _worst_match(rows: Sequence[Sequence[Slice]], mismatch: Sequence[Planes]) -> NDArray[np.float64]:
    """Voxel coordinates (3,) of the place where images fit worst over about a centimetre, on the last of the views."""
    slices, planes = rows[-1], mismatch[-1]
    blurred = gaussian_filter(planes, (1.5, *[5.0 / (COARSER * slices[0].pixel)] * 2), mode="constant")
    number, row, column = np.unravel_index(int(np.argmax(blurred)), blurred.shape)
    return np.asarray(slices[int(number)].voxels[:, ::COARSER, ::COARSER][:, row, column])


# -- deformation ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Deformation:
    """A displacement on rows of slices, inside body masks, with the scales all of them share."""

    rows: Sequence[Sequence[Slice]]
    planes: Sequence[DeformationMaps]
    bodies: Sequence[Planes]
    scales: Mapping[str, float]

    @classmethod
    def of(cls, side: FixedSlices, warp: Displacement) -> _Deformation:
        rows = side.rows
        planes = [DeformationMaps.along(row, warp, coarser=COARSER) for row in rows]
        longest = max(max(row[0].voxels.shape[1:]) * row[0].pixel for row in rows)
        scales = {
            "grid": round_up(longest / _GRID_LINES),
            "jacobian": round_up(
                max(float(np.percentile(np.abs(plane.log_jacobian[:, ::2, ::2]), 99.5)) for plane in planes)
            ),
            "displacement": round_up(max(float(plane.length.max()) for plane in planes)),
        }
        return cls(rows, planes, side.bodies, scales)

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Name and JPEG of each mosaic."""
        both = list(zip(self.rows, self.planes, strict=True))
        for number, name in enumerate(("across", "down")):
            yield name, encode(_mosaic([self._shift(*row, number) for row in both]), 88)
        drawn = list(zip(self.planes, self.bodies, strict=True))
        yield "jacobian", encode(_mosaic([self._jacobian(plane) * body[..., None] for plane, body in drawn]), 60)
        lengths = [plane.length / self.scales["displacement"] * body for plane, body in drawn]
        yield "displacement", encode(_mosaic(lengths), 75)

    def _shift(self, slices: Sequence[Slice], plane: DeformationMaps, number: int) -> Planes:
        """Displacement to the right (0) or down (1) on the page; 0 to 1 is +-`displacement`."""
        first = slices[0]
        axis = first.axes[1 + number]
        line = first.voxels[axis] * first.grid.voxel_size[axis]
        shift = (plane.position[number] - line[::COARSER, ::COARSER]) * np.sign(line[-1, -1] - line[0, 0])
        return np.asarray(0.5 + 0.5 * shift / self.scales["displacement"], dtype=np.float32)

    def _jacobian(self, plane: DeformationMaps) -> NDArray[np.float32]:
        """Blue where the map shrinks space, orange where it grows, yellow around folds: (N, H, W, 3)."""
        drawn = coloured(plane.log_jacobian / self.scales["jacobian"] * 0.5 + 0.5, SHRINKS_GROWS)
        if plane.folds.any():
            drawn[maximum_filter(plane.folds, (1, 3, 3)) > 0] = (1, 1, 0.2)
        return drawn


# -- pictures -------------------------------------------------------------------------------------------------------


def _mosaic(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Stacks of tiles (N, H, W) or (N, H, W, 3) side by side, a row for each, black where a row is short."""
    strips = [np.moveaxis(bytes_of(row), 0, 1).reshape(row.shape[1], -1, *row.shape[3:]) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(s, [(0, 0), (0, width - s.shape[1])] + [(0, 0)] * (s.ndim - 2)) for s in strips]
    return np.concatenate(padded)


def encode(picture: NDArray[Any], quality: int) -> bytes:
    """The JPEG of shades or colours from 0 to 1, (H, W) or (H, W, 3); WebP would take ten times as long."""
    from PIL import Image as Picture

    packed = io.BytesIO()
    Picture.fromarray(bytes_of(picture)).save(packed, format="JPEG", quality=quality, subsampling=0)
    return packed.getvalue()
