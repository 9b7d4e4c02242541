"""A panel of a picture: a slice in shades or colours, with lines of equal value drawn over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from warpline.report.colour_ramps import bytes_of, coloured
from warpline.report.slice_interpolation import Plane

if TYPE_CHECKING:
    from PIL import Image as Picture

_FINER = 4
"""Lines are drawn on so many times the pixels along either axis, and averaged, so that their edges are smooth."""

_SPLINE = (1 / 6, 2 / 3, 1 / 6)


@dataclass(frozen=True, eq=False)
class Panel:
    """A box of a picture that shows a slice: the centres of its outermost pixels lie on the edges of the box.

    Parameters
    ----------
    picture : PIL.Image.Image
        What is drawn on, RGB.
    box : (left, top, right, bottom)
        In pixels of it.
    """

    picture: Picture.Image
    box: tuple[int, int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        left, top, right, bottom = self.box
        return right - left, bottom - top

    def show(self, image: NDArray[Any]) -> None:
        """Fill the box with shades (H, W) or colours (H, W, 3) from 0 to 1, row 0 at the top."""
        self.picture.paste(self._enlarged(bytes_of(_softened(image))), self.box[:2])

    def show_coloured(self, values: Plane, ramp: Sequence[str], body: Plane) -> None:
        """Fill the box with the colours of values (H, W) from 0 to 1; black where `body` (H, W) is below a half."""
        from PIL import Image as Picture

        fine, inside = (np.asarray(self._enlarged(plane)) for plane in (_softened(values), body))
        edge = np.clip((inside - 0.5) * 8 + 0.5, 0, 1)
        self.picture.paste(Picture.fromarray(bytes_of(coloured(fine, ramp) * edge[..., None])), self.box[:2])

    def draw_lines(
        self, values: Plane, levels: Iterable[float], colour: str, *, width: float, opacity: float = 1.0
    ) -> None:
        """Draw the lines on which values (H, W), linear between pixels, equal each level; `width` in pixels."""
        from contourpy import contour_generator
        from PIL import Image as Picture
        from PIL import ImageDraw

        fine = np.array(self.size) * _FINER
        mask = Picture.new("L", (int(fine[0]), int(fine[1])))
        pen, traced = ImageDraw.Draw(mask), contour_generator(z=values)
        scale = fine / (np.array(values.shape[::-1]) - 1)
        for level in levels:
            for line in traced.lines(level):
                pen.line((np.asarray(line) * scale).ravel().tolist(), fill=255, width=round(width * _FINER))
        self.picture.paste(colour, self.box, mask.reduce(_FINER).point(lambda covered: round(covered * opacity)))

    def _enlarged(self, plane: NDArray[Any]) -> Picture.Image:
        """A slice on the pixels of the box."""
        from PIL import Image as Picture

        small = Picture.fromarray(plane)
        edges = 0.5, 0.5, small.width - 0.5, small.height - 0.5
        return small.resize(self.size, Picture.Resampling.BICUBIC, box=edges)


def _softened(image: NDArray[Any]) -> NDArray[np.float32]:
    """A slice (H, W) or (H, W, 3) with the weights of a cubic B-spline, so that enlarged voxels show no corners."""
    return np.asarray(correlate1d(correlate1d(image, _SPLINE, 0, np.float32), _SPLINE, 1))
