"""The layers of a pair's viewer: mosaics of cuts that a page lays over each other."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from warpline.image import Image
from warpline.report.cuts import Cut, Plane, series_through, window
from warpline.report.planes import SHRINKS_GROWS, Deformed, round_up, shades, silhouette, tissue_borders
from warpline.transforms import Displacement

CUTS, LONGEST, LONGEST_FLAT = 9, 176, 640
"""Cuts for each view, and most pixels along a side of a cut: of volumes, of 2-D images."""

_MAGMA = ("#000004", "#221150", "#5f187f", "#982d80", "#d3436e", "#f8765c", "#febb81", "#fcfdbf")

RAMPS = {"jacobian": ",".join(SHRINKS_GROWS), "displacement": ",".join(_MAGMA)}
"""Colours of the coloured layers from the least to the largest value, evenly spaced."""

_GRID_LINES = 22
"""About how many lines of the warped grid cross the longest side of a cut."""


@dataclass(frozen=True, eq=False)
class Layers:
    """What the viewer shows of one pair.

    Parameters
    ----------
    pictures : dict of str to bytes
        WebP mosaics, a row of tiles for each view, a tile for each cut: ``fixed``, ``before`` and ``after``; for
        deformable maps also ``jacobian``, ``displacement``, and at half the resolution its components ``across``
        and ``down`` the page, from which the viewer draws the warped grid.
    views : tuple of dict
        For each view: name, width, height (pixels of a tile), letters (left, right, bottom, top), and for each cut
        its position in mm along the view's normal (world) and the two shades that part its tissues.
    scales : dict
        ``pixel``: its side in mm; ``grid``: spacing of its lines in mm; ``jacobian``: largest log-Jacobian
        coloured; ``displacement``: the longest in mm.
    """

    pictures: Mapping[str, bytes]
    views: tuple[Mapping[str, Any], ...]
    scales: Mapping[str, float]


def draw_layers(fixed: Image, before: Image, after: Image, warp: Displacement | None = None) -> Layers:
    """Draw all layers of a pair.

    Parameters
    ----------
    fixed : Image
        Chooses the cuts.
    before, after : Image
        The moving image before and after registration, on any grid.
    warp : Displacement, optional
        The deformable part of the map, on any grid.
    """
    flat = 1 in fixed.grid.shape
    rows = series_through(fixed, CUTS, LONGEST_FLAT if flat else LONGEST)
    seen = {
        name: [[grey(cut, image, limits) for cut in row] for row in rows]
        for name, image in (("fixed", fixed), ("before", before), ("after", after))
        for limits in (window(image),)
    }
    pictures = {name: encode(_mosaic(planes), 80 if flat else 58) for name, planes in seen.items()}
    scales = {"pixel": float(rows[0][0].pixel)}
    if warp is not None:
        drawn = _Deformation.of(rows, seen["fixed"], warp)
        pictures |= drawn.pictures()
        scales |= drawn.scales
    return Layers(pictures, tuple(_views(rows, seen["fixed"])), scales)


def grey(cut: Cut, image: Image, limits: tuple[float, float]) -> Plane:
    """Shades from 0 to 1, averaged where voxels are finer than pixels."""
    return shades(cut.sample(image, cut.finer(image)), *limits)


def _views(rows: Sequence[Sequence[Cut]], seen: Sequence[Sequence[Plane]]) -> Iterator[dict[str, Any]]:
    for cuts, planes in zip(rows, seen, strict=True):
        height, width = planes[0].shape
        yield {
            "name": cuts[0].name,
            "width": width,
            "height": height,
            "letters": cuts[0].letters,
            "positions": [round(cut.position, 1) for cut in cuts],
            "tissues": [tissue_borders(gaussian_filter(plane, 0.8)) for plane in planes],
        }


# -- deformation ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Deformation:
    """A displacement on rows of cuts, inside silhouettes, with the scales all of them share."""

    rows: Sequence[Sequence[Cut]]
    planes: list[list[Deformed]]
    bodies: list[list[NDArray[np.float32]]]
    scales: Mapping[str, float]

    @classmethod
    def of(cls, rows: Sequence[Sequence[Cut]], seen: Sequence[Sequence[Plane]], warp: Displacement) -> _Deformation:
        planes = [[Deformed.on(cut, warp) for cut in row] for row in rows]
        every = [plane for row in planes for plane in row]
        longest = max(max(cut.voxels.shape[1:]) * cut.pixel for row in rows for cut in row)
        scales = {
            "grid": round_up(longest / _GRID_LINES),
            "jacobian": round_up(max(float(np.percentile(np.abs(plane.log_jacobian), 99.5)) for plane in every)),
            "displacement": round_up(max(float(plane.length.max()) for plane in every)),
        }
        return cls(rows, planes, [[silhouette(plane) for plane in row] for row in seen], scales)

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Name and WebP of each mosaic."""
        for number, name in enumerate(("across", "down")):
            yield name, encode(_mosaic([[self._shift(*at, number) for at in row] for row in self._both()]), 70)
        for name, draw in (("jacobian", self._jacobian), ("displacement", self._displacement)):
            coloured = zip(self.planes, self.bodies, strict=True)
            tiles = [[draw(p) * body[..., None] for p, body in zip(*row, strict=True)] for row in coloured]
            yield name, encode(_mosaic(tiles), 45)

    def _both(self) -> Iterator[list[tuple[Cut, Deformed]]]:
        for row in zip(self.rows, self.planes, strict=True):
            yield list(zip(*row, strict=True))

    def _shift(self, cut: Cut, plane: Deformed, number: int) -> Plane:
        """Displacement to the right (0) or down (1) on the page, of every other pixel; 0 to 1 is +-`displacement`."""
        axis = cut.axes[1 + number]
        line = cut.voxels[axis] * cut.grid.voxel_size[axis]
        shift = (plane.position[number] - line) * np.sign(line[-1, -1] - line[0, 0])
        return np.asarray(0.5 + 0.5 * shift[::2, ::2] / self.scales["displacement"], dtype=np.float32)

    def _jacobian(self, plane: Deformed) -> NDArray[np.float32]:
        """Blue where the map shrinks space, orange where it grows, yellow around folds: (H, W, 3)."""
        drawn = _coloured(plane.log_jacobian / self.scales["jacobian"] * 0.5 + 0.5, SHRINKS_GROWS)
        return np.where(maximum_filter(plane.folds, 3)[..., None] > 0, np.array((1, 1, 0.2), np.float32), drawn)

    def _displacement(self, plane: Deformed) -> NDArray[np.float32]:
        return _coloured(plane.length / self.scales["displacement"], _MAGMA)


def _coloured(values: Plane, ramp: Sequence[str]) -> NDArray[np.float32]:
    """Colours (H, W, 3) of values from 0 to 1, linear between those of the ramp."""
    colours = np.array([[int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] for colour in ramp], np.float32)
    channels = [np.interp(values, np.linspace(0, 1, len(colours)), channel) for channel in colours.T]
    return np.stack(channels, axis=-1).astype(np.float32)


# -- pictures -------------------------------------------------------------------------------------------------------


def _mosaic(rows: Sequence[Sequence[NDArray[Any]]]) -> NDArray[np.float32]:
    """Tiles side by side in rows of their own height, black where a row is short: (H, W) or (H, W, 3)."""
    strips = [np.concatenate(row, axis=1) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(s, [(0, 0), (0, width - s.shape[1])] + [(0, 0)] * (s.ndim - 2)) for s in strips]
    return np.asarray(np.concatenate(padded), dtype=np.float32)


def encode(picture: NDArray[Any], quality: int) -> bytes:
    """The WebP of shades or colours from 0 to 1, (H, W) or (H, W, 3)."""
    from PIL import Image as Picture

    packed, shades = io.BytesIO(), np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    Picture.fromarray(shades).save(packed, format="WEBP", quality=quality, method=4)
    return packed.getvalue()
