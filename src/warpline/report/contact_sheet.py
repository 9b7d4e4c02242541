"""A contact sheet, the layout of all pictures: a row with a title for each thing shown, a column for each slice."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from warpline.errors import OutputError
from warpline.report.slices import Slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image as Picture

INK, PAPER, FAINT = "#e8eaed", "#0b0d10", "#8b929c"

_WIDTH, _DPI = 1600, 100
_MARGIN, _GAP, _BAND = 24, 16, 44
"""Around the panels, between them, and the height of a title, in pixels."""

_LARGEST = 600_000
"""Bytes above which a picture is written with fewer colours."""

Target = str | Path | BinaryIO
"""A file by its path, or open."""

ROW_BOXES = "warpline rows"
"""Name of the PNG text entry that lists (left, title's top, top, right, bottom) in pixels of each row, as JSON."""

_Layout = tuple[int, list[list[tuple[float, ...]]], list[tuple[float, float, float]]]


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """A figure with a panel for every row and slice; use `blank` to make one.

    Parameters
    ----------
    figure : Figure
        Of Matplotlib, without its global state.
    panels : rows of Axes
        ``panels[row][slice]``.
    bands : one (left, right, middle) for each row
        Where the title of each row stands, in pixels from the lower left corner.
    """

    figure: Figure
    panels: tuple[tuple[Axes, ...], ...]
    bands: tuple[tuple[float, float, float], ...]

    @classmethod
    def blank(cls, titles: Sequence[str], slices: Sequence[Slice]) -> ContactSheet:
        """Lay out a row for each title; with a single slice the rows stand beside each other instead."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        aspects = [section.aspect for section in slices]
        height, boxes, bands = (
            _layout_rows(aspects, len(titles)) if len(slices) > 1 else _layout_columns(aspects[0], len(titles))
        )
        figure = Figure(figsize=(_WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor=PAPER)
        FigureCanvasAgg(figure)
        size = np.array((_WIDTH, height, _WIDTH, height))
        panels = tuple(tuple(figure.add_axes(tuple(np.array(box) / size)) for box in row) for row in boxes)
        sheet = cls(figure, panels, tuple(bands))
        for title, (left, _, middle) in zip(titles, bands, strict=True):
            sheet.write(left, middle, title, size=13, color=INK)
        for row in panels:
            for panel, section in zip(row, slices, strict=True):
                _style_panel(panel, section.letters)
        return sheet

    def show(self, row: int, column: int, image: NDArray[Any], **style: Any) -> Axes:
        """Fill a panel with an array (H, W) or (H, W, 3), row 0 at the top."""
        panel = self.panels[row][column]
        panel.imshow(image, interpolation="bicubic", aspect="auto", zorder=0, **style)
        height, width = image.shape[:2]
        panel.set(xlim=(0, width - 1), ylim=(height - 1, 0))
        return panel

    def legend(self, row: int, entries: Sequence[tuple[str, str]]) -> None:
        """Name colours at the right end of a row's title: (colour, name) pairs."""
        _, right, middle = self.bands[row]
        for color, name in reversed(entries):
            right = self.write(right, middle, name, size=10, color=FAINT, ha="right") - 6
            right = self.write(right, middle, "●", size=10, color=color, ha="right") - 22

    def scale(self, row: int, colours: Any, ends: tuple[str, str]) -> None:
        """Draw a colour bar at the right end of a row's title, with what its ends mean."""
        _, right, middle = self.bands[row]
        right = self.write(right, middle, ends[1], size=10, color=FAINT, ha="right") - 10
        left, thickness = right - 160, 10
        box = np.array((left, middle - thickness / 2, right - left, thickness))
        bar = self.figure.add_axes(tuple(box / (self._size * 2)))
        bar.imshow(np.linspace(0, 1, 256)[None], cmap=colours, aspect="auto")
        bar.set_axis_off()
        self.write(left - 10, middle, ends[0], size=10, color=FAINT, ha="right")

    def write(self, x: float, y: float, text: str, **style: Any) -> float:
        """Put text at a position in pixels from the lower left corner; returns its left end."""
        width, height = self._size
        written = self.figure.text(x / width, y / height, text, va="center_baseline", **style)
        return float(written.get_window_extent().x0)

    @property
    def _size(self) -> tuple[float, float]:
        width, height = self.figure.get_size_inches() * _DPI
        return float(width), float(height)

    def save(self, path: Target, *, dither: bool = False) -> None:
        """Write a PNG of 256 colours, fewer if it grows large; its text entry `ROW_BOXES` says where each row lies.

        Parameters
        ----------
        path : str, Path or binary file
            Where to.
        dither : bool
            Mix colours pixel by pixel: for smooth colour maps, which would show bands.

        Raises
        ------
        OutputError
            When the file cannot be written.
        """
        from PIL import Image as Picture
        from PIL.PngImagePlugin import PngInfo

        self.figure.canvas.draw()
        pixels = np.asarray(self.figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
        picture = Picture.fromarray(np.ascontiguousarray(pixels))
        outlines = [self._outline(row, band[2]) for row, band in zip(self.panels, self.bands, strict=True)]
        rows = PngInfo()
        rows.add_text(ROW_BOXES, json.dumps(outlines))
        for colours in (256, 128, 64):
            packed = io.BytesIO()
            _quantized(picture, colours, dither).save(packed, format="PNG", pnginfo=rows)
            if packed.tell() < _LARGEST:
                break
        if isinstance(path, (str, Path)):
            _write(packed.getvalue(), Path(path))
        else:
            path.write(packed.getvalue())

    def _outline(self, row: Sequence[Axes], middle: float) -> tuple[int, int, int, int, int]:
        width, height = self._size
        corners = np.array([panel.get_position().extents for panel in row])
        (left, bottom), (right, top) = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
        edges = (left * width, height - middle - _BAND / 2, (1 - top) * height, right * width, (1 - bottom) * height)
        return tuple(round(float(edge)) for edge in edges)  # type: ignore[return-value]


def _quantized(picture: Picture.Image, colours: int, dither: bool) -> Picture.Image:
    """The picture in its most telling colours, found in a sixteenth of its pixels."""
    from PIL import Image as Picture

    method = Picture.Quantize.MAXCOVERAGE if dither else Picture.Quantize.MEDIANCUT
    sample = picture.resize((picture.width // 4, picture.height // 4), Picture.Resampling.NEAREST)
    mixing = Picture.Dither.FLOYDSTEINBERG if dither else Picture.Dither.NONE
    return picture.quantize(palette=sample.quantize(colours, method=method), dither=mixing)


def _write(content: bytes, path: Path) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(f"picture {path} cannot be written: {error.strerror or error}") from None


def _layout_rows(aspects: list[float], rows: int) -> _Layout:
    """Page height, boxes (left, bottom, width, height) and title bands of rows of panels of equal height."""
    tall = (_WIDTH - 2 * _MARGIN - _GAP * (len(aspects) - 1)) / sum(aspects)
    height = round(rows * (_BAND + tall) + (rows - 1) * _GAP + _MARGIN + 8)
    boxes: list[list[tuple[float, ...]]] = []
    bands: list[tuple[float, float, float]] = []
    for row in range(rows):
        top = height - 8 - row * (_BAND + tall + _GAP)
        lefts = np.cumsum([_MARGIN, *(a * tall + _GAP for a in aspects)])
        boxes.append([(left, top - _BAND - tall, a * tall, tall) for left, a in zip(lefts, aspects, strict=False)])
        bands.append((_MARGIN, _WIDTH - _MARGIN, top - _BAND / 2))
    return height, boxes, bands


def _layout_columns(aspect: float, columns: int) -> _Layout:
    wide = (_WIDTH - 2 * _MARGIN - _GAP * (columns - 1)) / columns
    height = round(8 + _BAND + wide / aspect + _MARGIN)
    lefts = [_MARGIN + column * (wide + _GAP) for column in range(columns)]
    boxes: list[list[tuple[float, ...]]] = [[(left, _MARGIN, wide, wide / aspect)] for left in lefts]
    return height, boxes, [(left, left + wide, height - 8 - _BAND / 2) for left in lefts]


def _style_panel(panel: Axes, letters: tuple[str, str, str, str]) -> None:
    panel.set_facecolor("black")
    panel.set(xticks=(), yticks=())
    for spine in panel.spines.values():
        spine.set_visible(False)
    places = ((0.02, 0.5, "left"), (0.98, 0.5, "right"), (0.5, 0.04, "center"), (0.5, 0.96, "center"))
    for (x, y, side), letter in zip(places, letters, strict=True):
        panel.text(x, y, letter, transform=panel.transAxes, ha=side, va="center", color=FAINT, size=9)
