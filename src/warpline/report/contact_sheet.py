"""A contact sheet, the layout of all pictures: a row with a title for each thing shown, a column for each slice."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from warpline.errors import OutputError
from warpline.report.colour_ramps import bytes_of, coloured
from warpline.report.panels import Panel
from warpline.report.slices import Slice

if TYPE_CHECKING:
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

_Layout = tuple[int, list[list["_Box"]], list[tuple[float, float, float]]]
_Box = tuple[float, float, float, float]

_BELOW_MIDDLE, _MIDDLE = 0.42, 0.26
"""Of the size of the letters, from the middle of a title, and of a letter, down to its baseline."""


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """A picture with a panel for every row and slice; use `blank` to make one.

    Parameters
    ----------
    picture : PIL.Image.Image
        What is drawn on, RGB.
    panels : rows of Panel
        ``panels[row][slice]``.
    bands : one (left, right, middle) for each row
        Where the title of each row stands, in pixels from the upper left corner.
    letters : one (left, right, bottom, top) for each slice
        Written over every panel when the sheet is saved.
    """

    picture: Picture.Image
    panels: tuple[tuple[Panel, ...], ...]
    bands: tuple[tuple[float, float, float], ...]
    letters: tuple[tuple[str, str, str, str], ...]

    @classmethod
    def blank(cls, titles: Sequence[str], slices: Sequence[Slice]) -> ContactSheet:
        """Lay out a row for each title; with a single slice the rows stand beside each other instead."""
        from PIL import Image as Picture

        aspects = [section.aspect for section in slices]
        height, boxes, bands = (
            _layout_rows(aspects, len(titles)) if len(slices) > 1 else _layout_columns(aspects[0], len(titles))
        )
        picture = Picture.new("RGB", (_WIDTH, height), PAPER)
        panels = tuple(tuple(Panel(picture, _whole(box)) for box in row) for row in boxes)
        sheet = cls(picture, panels, tuple(bands), tuple(section.letters for section in slices))
        for title, (left, _, middle) in zip(titles, bands, strict=True):
            sheet.write(left, middle, title, points=13, colour=INK)
        return sheet

    def legend(self, row: int, entries: Sequence[tuple[str, str]]) -> None:
        """Name colours at the right end of a row's title: (colour, name) pairs."""
        _, right, middle = self.bands[row]
        for colour, name in reversed(entries):
            right = self.write(right, middle, name, points=10, colour=FAINT, anchor="rs") - 6
            self._dot(right - 5, middle, colour)
            right -= 32

    def scale(self, row: int, ramp: Sequence[str], ends: tuple[str, str]) -> None:
        """Draw a colour bar at the right end of a row's title, with what its ends mean."""
        from PIL import Image as Picture

        _, right, middle = self.bands[row]
        right = self.write(right, middle, ends[1], points=10, colour=FAINT, anchor="rs") - 10
        bar = np.broadcast_to(coloured(np.linspace(0, 1, 160), ramp), (10, 160, 3))
        self.picture.paste(Picture.fromarray(bytes_of(bar)), (round(right) - 160, round(middle) - 5))
        self.write(right - 170, middle, ends[0], points=10, colour=FAINT, anchor="rs")

    def write(self, x: float, middle: float, text: str, *, points: float, colour: str, anchor: str = "ls") -> float:
        """Put text at a position, its left or right end (``"ls"``, ``"rs"``); returns its left end."""
        from PIL import ImageDraw

        font = _font(points)
        ImageDraw.Draw(self.picture).text(
            (x, middle + _BELOW_MIDDLE * font.size), text, fill=colour, font=font, anchor=anchor
        )
        return x - font.getlength(text) if anchor == "rs" else x

    def _dot(self, x: float, y: float, colour: str) -> None:
        """A disc of 11 pixels around a position."""
        from PIL import Image as Picture
        from PIL import ImageDraw

        mask = Picture.new("L", (48, 48))
        ImageDraw.Draw(mask).ellipse((2, 2, 45, 45), fill=255)
        self.picture.paste(colour, (round(x) - 6, round(y) - 5), mask.reduce(4))

    def _finished(self) -> Picture.Image:
        """The picture with the letters on its panels."""
        from PIL import ImageDraw

        picture, font = self.picture.copy(), _font(9)
        pen = ImageDraw.Draw(picture)
        places = ((0.02, 0.5, "ls"), (0.98, 0.5, "rs"), (0.5, 0.96, "ms"), (0.5, 0.04, "ms"))
        for row in self.panels:
            for panel, letters in zip(row, self.letters, strict=True):
                (left, top, *_), (width, height) = panel.box, panel.size
                for (x, y, anchor), letter in zip(places, letters, strict=True):
                    at = left + x * width, top + y * height + _MIDDLE * font.size
                    pen.text(at, letter, fill=FAINT, font=font, anchor=anchor)
        return picture

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
        from PIL.PngImagePlugin import PngInfo

        picture = self._finished()
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

    def _outline(self, row: Sequence[Panel], middle: float) -> tuple[int, int, int, int, int]:
        (left, top, _, bottom), right = row[0].box, row[-1].box[2]
        return left, round(middle - _BAND / 2), top, right, bottom


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


@cache
def _font(points: float) -> Any:
    """The letters that Pillow brings along, of a size in points, at 100 pixels an inch."""
    from PIL import ImageFont

    return ImageFont.load_default(points * _DPI / 72)


def _whole(box: _Box) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(edge) for edge in box)
    return left, top, right, bottom


def _layout_rows(aspects: list[float], rows: int) -> _Layout:
    """Page height, boxes (left, top, right, bottom) and title bands of rows of panels of equal height."""
    tall = (_WIDTH - 2 * _MARGIN - _GAP * (len(aspects) - 1)) / sum(aspects)
    height = round(rows * (_BAND + tall) + (rows - 1) * _GAP + _MARGIN + 8)
    boxes: list[list[_Box]] = []
    bands: list[tuple[float, float, float]] = []
    for row in range(rows):
        band = 8 + row * (_BAND + tall + _GAP)
        top = band + _BAND
        lefts = [float(left) for left in np.cumsum([_MARGIN, *(a * tall + _GAP for a in aspects)])]
        boxes.append([(left, top, left + a * tall, top + tall) for left, a in zip(lefts, aspects, strict=False)])
        bands.append((_MARGIN, _WIDTH - _MARGIN, band + _BAND / 2))
    return height, boxes, bands


def _layout_columns(aspect: float, columns: int) -> _Layout:
    wide = (_WIDTH - 2 * _MARGIN - _GAP * (columns - 1)) / columns
    top = 8 + _BAND
    lefts = [_MARGIN + column * (wide + _GAP) for column in range(columns)]
    boxes: list[list[_Box]] = [[(left, top, left + wide, top + wide / aspect)] for left in lefts]
    return round(top + wide / aspect + _MARGIN), boxes, [(left, left + wide, 8 + _BAND / 2) for left in lefts]
