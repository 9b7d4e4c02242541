"""Pictures of a registration: overlays before and after, and what the deformation does to space."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from warpline.images import Image
from warpline.report.contact_sheet import INK, ContactSheet, Target
from warpline.report.display_maps import (
    SHRINKS_GROWS,
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
        sheet.show(0, column, np.stack((start, target, start), axis=-1))
        sheet.show(1, column, np.stack((result, target, result), axis=-1))
        panel = sheet.show(2, column, result, cmap="gray", vmin=0, vmax=1.1)
        smooth = gaussian_filter(target, 0.7)
        panel.contour(smooth, levels=otsu_thresholds(smooth), colors=_EDGE, linewidths=0.9)
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
    from matplotlib.colors import LinearSegmentedColormap

    slices = middle_slices(fixed)
    sheet = ContactSheet.blank(("Warped grid", "Log-Jacobian", "Displacement"), slices)
    seen = [DeformationMaps.on(section, warp) for section in slices]
    change = round_up(max(float(np.percentile(np.abs(plane.log_jacobian), 99.5)) for plane in seen))
    length = round_up(max(float(plane.length.max()) for plane in seen))
    spacing = round_up(max(max(section.voxels.shape[1:]) * section.pixel for section in slices) / _GRID_LINES)
    colours = LinearSegmentedColormap.from_list("shrinks grows", SHRINKS_GROWS)
    sheet.legend(0, ((_GRID_LINE, f"every {spacing:g} mm"),))
    sheet.scale(1, colours, (f"shrinks {-change:g}", f"{change:g} grows"))
    sheet.scale(2, "magma", ("0", f"{length:g} mm"))
    limits = display_range(fixed)
    for column, (section, plane) in enumerate(zip(slices, seen, strict=True)):
        target = rescale_intensity(section.sample(fixed, section.samples_per_pixel(fixed)), *limits)
        grid = sheet.show(0, column, target, cmap="gray", vmin=0, vmax=1.5)
        for position in plane.position:
            lines = np.arange(np.ceil(position.min() / spacing), position.max() / spacing) * spacing
            grid.contour(position, levels=lines, colors=_GRID_LINE, linewidths=0.8, alpha=0.8)
        panels = (
            sheet.show(1, column, plane.log_jacobian, cmap=colours, vmin=-change, vmax=change),
            sheet.show(2, column, plane.length, cmap="magma", vmin=0, vmax=length),
        )
        body = body_mask(target)
        for panel in panels:
            panel.contourf(body, levels=(-1, 0.5), colors="black")
            panel.contour(body, levels=(0.5,), colors=INK, linewidths=0.8, alpha=0.8)
        if plane.folds.any():
            panels[0].contour(plane.folds, levels=(0.5,), colors=_FOLD, linewidths=1.5)
    sheet.save(path, dither=True)
