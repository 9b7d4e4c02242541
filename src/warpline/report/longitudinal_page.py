"""The page of time points: their middle, what changed over it, every time point, and the numbers. One HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.images import Image
from warpline.report.colour_ramps import SHRINKS_GROWS, bytes_of, coloured
from warpline.report.contact_sheet import ContactSheet
from warpline.report.display_maps import rescale_intensity, round_up
from warpline.report.page import rendered
from warpline.report.slices import display_range, middle_slices, slice_series

HEIGHT = 240
"""Pixels of a cut through a time point, at most."""
DIFFERENCE = 0.25
"""Difference from the middle that has the fullest colour, as a share of the range of values shown."""
OPACITY = 0.9
"""Of the fullest colour of a change over the middle."""
_FOLD = "#ffff33"


def draw_changes(middle: Image, changes: Mapping[str, Image]) -> tuple[bytes, float]:
    """A PNG of the middle, and of changes in colours over it.

    Parameters
    ----------
    middle : Image
        Chooses the slices.
    changes : dict of str to Image
        Titles to log Jacobians, on the grid of the middle; NaN, where a map folds, is ringed in yellow.

    Returns
    -------
    bytes, float
        The picture, 1600 pixels wide; the log Jacobian that has the fullest colour.
    """
    slices, limits = middle_slices(middle), display_range(middle)
    known = [np.abs(change.data[np.isfinite(change.data)]) for change in changes.values()]
    fullest = round_up(max((float(np.percentile(one, 99.5)) for one in known if one.size), default=0.0))
    sheet = ContactSheet.blank(("Middle", *changes), slices)
    for row in range(1, 1 + len(changes)):
        sheet.scale(row, SHRINKS_GROWS, (f"shrank {-fullest:g}", f"{fullest:g} grew"))
    for column, section in enumerate(slices):
        shade = rescale_intensity(section.sample(middle, section.samples_per_pixel(middle)), *limits)
        sheet.panels[0][column].show(shade)
        for panels, change in zip(sheet.panels[1:], changes.values(), strict=True):
            values = section.sample(change)
            folds = np.isnan(values)
            panels[column].show(_over(shade, np.nan_to_num(values) / np.float32(fullest)))
            if folds.any():
                panels[column].draw_lines(folds.astype(np.float32), (0.5,), _FOLD, width=2.1)
    packed = io.BytesIO()
    sheet.save(packed, dither=True)
    return packed.getvalue(), fullest


def draw_point(middle: Image, before: Image, after: Image, factor: float) -> bytes:
    """A WebP of cuts through a time point, and under it what it differs from the middle by, before and after.

    Parameters
    ----------
    middle : Image
        Chooses the cuts.
    before, after : Image
        The time point on the grid of the middle through its rigid map, and through the whole map.
    factor : float
        What its grey values are multiplied by to be compared.
    """
    from PIL import Image as Picture

    cuts = [row[len(row) // 2] for row in slice_series(middle, 3, HEIGHT)]
    black, white = display_range(middle)
    fullest = np.float32(DIFFERENCE * (white - black))
    columns = []
    for cut in cuts:
        there, *seen = (cut.sample(one) for one in (middle, before, after))
        values = [one * np.float32(factor) for one in seen]
        shade = rescale_intensity(values[-1], black, white)
        apart = [coloured(np.clip((one - there) / fullest, -1, 1) / 2 + 0.5, SHRINKS_GROWS) for one in values]
        columns.append(np.vstack([np.repeat(shade[..., None], 3, axis=2), *apart]))
    tallest = max(len(column) for column in columns)
    padded = [np.pad(one, ((0, tallest - len(one)), (0, 0), (0, 0))) for one in columns]
    packed = io.BytesIO()
    Picture.fromarray(bytes_of(np.hstack(padded))).save(packed, format="WEBP", quality=80, method=4)
    return packed.getvalue()


def _over(shade: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shades (H, W) with the colours of values (H, W) from -1 to 1 over them, the stronger the larger: (H, W, 3)."""
    weight = np.clip(np.abs(values), 0, 1)[..., None] * np.float32(OPACITY)
    colours = coloured(np.clip(values, -1, 1) / 2 + 0.5, SHRINKS_GROWS)
    return np.asarray(shade[..., None] * (1 - weight) + colours * weight, np.float32)


def longitudinal_page(report: Mapping[str, Any], changes: tuple[bytes, float], points: Sequence[bytes]) -> str:
    """The page as text: one HTML file that loads nothing.

    Parameters
    ----------
    report : dict
        Of a `warpline.LongitudinalRegistration`.
    changes : (bytes, float)
        Of `draw_changes`.
    points : sequence of bytes
        Of `draw_point`, one for each time point.
    """
    picture, fullest = changes
    return rendered(
        "longitudinal.html.j2",
        report=report,
        names=[point["name"] for point in report["points"]],
        picture=_address(picture, "png"),
        fullest=fullest,
        points=[(row, _address(one, "webp")) for row, one in zip(report["points"], points, strict=True)],
        labels=report["labels"] or {"growth": []},
        folds=sum(point["quality"]["folded_voxels"] for point in report["points"]),
        failed=[pair for pair in report["pairs"] if "failed" in (pair["judgement"], pair["rigid_judgement"])],
        total=sum(report["seconds"].values()),
    )


def _address(picture: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
