"""The page of a series: its mean and standard deviation before and after, its motion, and what was found."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from warpline.images import Image
from warpline.report.contact_sheet import ContactSheet
from warpline.report.display_maps import rescale_intensity
from warpline.report.page import rendered
from warpline.report.slices import display_range, middle_slices

Pairs = Sequence[tuple[Mapping[str, Image], Image]]
"""Images by their titles, and the image whose range of values they share."""


def draw_rows(slices_of: Image, pairs: Pairs) -> bytes:
    """A PNG of the same middle slices of several images, a row an image.

    Parameters
    ----------
    slices_of : Image
        Chooses the slices.
    pairs : sequence of (images by title, image)
        What to show, on any grids; images of a pair are shown with the range of values of its second member.

    Returns
    -------
    bytes
        1600 pixels wide, grey.
    """
    slices = middle_slices(slices_of)
    sheet = ContactSheet.blank([title for images, _ in pairs for title in images], slices)
    shown = [(image, display_range(like)) for images, like in pairs for image in images.values()]
    for panels, (image, limits) in zip(sheet.panels, shown, strict=True):
        for panel, section in zip(panels, slices, strict=True):
            panel.show(rescale_intensity(section.sample(image, section.samples_per_pixel(image)), *limits))
    packed = io.BytesIO()
    sheet.save(packed)
    return packed.getvalue()


def series_page(report: Mapping[str, Any], picture: bytes, plot: str) -> str:
    """The page as text: one HTML file that loads nothing.

    Parameters
    ----------
    report : dict
        Of a `warpline.SeriesRegistration`.
    picture : bytes
        A PNG of `draw_rows`.
    plot : str
        An SVG of `warpline.report.motion_plot.draw_motion`.
    """
    address = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
    return rendered("series.html.j2", report=report, picture=address, plot=plot, total=sum(report["seconds"].values()))
