"""Pictures of a registration: overlays before and after, and what the deformation does to space."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from warpline.images import Image
from warpline.report.colour_ramps import MAGMA, SHRINKS_GROWS
from warpline.report.contact_sheet import INK, ContactSheet, Target
from warpline.report.display_maps import (
    DeformationMaps,
    body_mask,
    otsu_thresholds,
    rescale_intensity,
    round_up,
)
from warpline.report.slices import display_range, middle_slices
from warpline.space import Displacement

_FIXED, _MOVING, _BOTH, _EDGE = "#00e600", "#ff40ff", "#d0d0d0", "#ffb347"
_GRID_LINE, _FOLD = "#5ec8ff", "#ffff33"

_GRID_LINES = 22
"""About how many lines of the warped grid cross the longest side of a slice."""


def write_overlay(fixed: Image, before: Image, after: Image, path: Target) -> None:
    """Write a PNG of the moving image over the fixed one, before and after, and of fixed outlines on the result.

    Parameters
    ----------
    fixed : Image
        Chooses the slices; shown in green.
    before, after : Image
        The moving image before and after registration, on any grid; shown in magenta.
    path : str, Path or binary file
        The picture: 1600 pixels wide, dark, one column for each anatomical slice.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    slices = middle_slices(fixed)
    sheet = ContactSheet.blank(("Before", "After", "Outlines on the result"), slices)
    sheet.legend(0, ((_FIXED, "fixed"), (_MOVING, "moving"), (_BOTH, "both alike")))
    sheet.legend(1, ((_FIXED, "fixed"), (_MOVING, "warped"), (_BOTH, "both alike")))
    sheet.legend(2, ((_EDGE, "outlines of fixed"),))
    windows = [display_range(image) for image in (fixed, before, after)]
    for column, section in enumerate(slices):
        target, start, result = (
            rescale_intensity(section.sample(image, section.samples_per_pixel(image)), *limits)
            for image, limits in zip((fixed, before, after), windows, strict=True)
        )
        over, under, outlined = (row[column] for row in sheet.panels)
        over.show(np.stack((start, target, start), axis=-1))
        under.show(np.stack((result, target, result), axis=-1))
        outlined.show(result / 1.1)
        smooth = gaussian_filter(target, 0.7)
        outlined.draw_lines(smooth, otsu_thresholds(smooth), _EDGE, width=1.25)
    sheet.save(path)


def write_deformation(fixed: Image, warp: Displacement, path: Target) -> None:
    """Write a PNG of the warped grid over the fixed image, of the log-Jacobian and of the displacement's length.

    The grid is a regular one of the space the displacement leads to, as it looks from the fixed image. Folds,
    where the Jacobian determinant is not above 0, are ringed in yellow.

    Parameters
    ----------
    fixed : Image
        Chooses the slices and lies under the grid.
    warp : Displacement
        The deformable part of a transform, on any grid.
    path : str, Path or binary file
        The picture: 1600 pixels wide, dark, one column for each anatomical slice.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    slices = middle_slices(fixed)
    sheet = ContactSheet.blank(("Warped grid", "Log-Jacobian", "Displacement"), slices)
    seen = [DeformationMaps.on(section, warp) for section in slices]
    change = round_up(max(float(np.percentile(np.abs(plane.log_jacobian), 99.5)) for plane in seen))
    length = round_up(max(float(plane.length.max()) for plane in seen))
    spacing = round_up(max(max(section.voxels.shape[1:]) * section.pixel for section in slices) / _GRID_LINES)
    sheet.legend(0, ((_GRID_LINE, f"every {spacing:g} mm"),))
    sheet.scale(1, SHRINKS_GROWS, (f"shrinks {-change:g}", f"{change:g} grows"))
    sheet.scale(2, MAGMA, ("0", f"{length:g} mm"))
    limits = display_range(fixed)
    for column, (section, plane) in enumerate(zip(slices, seen, strict=True)):
        target = rescale_intensity(section.sample(fixed, section.samples_per_pixel(fixed)), *limits)
        grid, growth, shift = (row[column] for row in sheet.panels)
        grid.show(target / 1.5)
        for position in plane.position:
            lines = np.arange(np.ceil(position.min() / spacing), position.max() / spacing) * spacing
            grid.draw_lines(position, lines, _GRID_LINE, width=1.1, opacity=0.8)
        body = body_mask(target)
        growth.show_coloured(plane.log_jacobian / (2 * change) + 0.5, SHRINKS_GROWS, body)
        shift.show_coloured(plane.length / length, MAGMA, body)
        for panel in (growth, shift):
            panel.draw_lines(body, (0.5,), INK, width=1.1, opacity=0.8)
        if plane.folds.any():
            growth.draw_lines(plane.folds, (0.5,), _FOLD, width=2.1)
    sheet.save(path, dither=True)
