"""Pictures of a registration: overlays before and after, and what the deformation does to space."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter

from warpline.image import Image
from warpline.report.cuts import Cut, Plane, cuts_through, window
from warpline.report.sheet import INK, Sheet, Target
from warpline.transforms import Displacement

_FIXED, _MOVING, _BOTH, _EDGE = "#00e600", "#ff40ff", "#d0d0d0", "#ffb347"
_GRID_LINE, _FOLD = "#5ec8ff", "#ffff33"
_SHRINKS_GROWS = ("#c9e7ff", "#4a93d9", "#1d3a5f", "#0e1116", "#6b2d16", "#e0703a", "#ffdcb8")
"""Dark where nothing changes, so that what changes stands out on a dark page."""

_GRID_LINES = 22
"""About how many lines of the warped grid cross the longest side of a cut."""


def write_overlay(fixed: Image, before: Image, after: Image, path: Target) -> None:
    """Write a PNG of the moving image over the fixed one, before and after, and of fixed outlines on the result.

    Parameters
    ----------
    fixed : Image
        Chooses the cuts; shown in green.
    before, after : Image
        The moving image before and after registration, on any grid; shown in magenta.
    path : str, Path or binary file
        The picture: 1600 pixels wide, dark, one column for each anatomical cut.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    cuts = cuts_through(fixed)
    sheet = Sheet.blank(("Before", "After", "Outlines on the result"), cuts)
    sheet.legend(0, ((_FIXED, "fixed"), (_MOVING, "moving"), (_BOTH, "both alike")))
    sheet.legend(1, ((_FIXED, "fixed"), (_MOVING, "warped"), (_BOTH, "both alike")))
    sheet.legend(2, ((_EDGE, "outlines of fixed"),))
    windows = [window(image) for image in (fixed, before, after)]
    for column, cut in enumerate(cuts):
        target, start, result = (
            _scaled(cut.sample(image), *shades) for image, shades in zip((fixed, before, after), windows, strict=True)
        )
        sheet.show(0, column, np.stack((start, target, start), axis=-1))
        sheet.show(1, column, np.stack((result, target, result), axis=-1))
        panel = sheet.show(2, column, result, cmap="gray", vmin=0, vmax=1.1)
        smooth = gaussian_filter(target, 0.7)
        panel.contour(smooth, levels=_tissue_borders(smooth), colors=_EDGE, linewidths=0.9)
    sheet.save(path)


def write_deformation(fixed: Image, warp: Displacement, path: Target) -> None:
    """Write a PNG of the warped grid over the fixed image, of the log-Jacobian and of the displacement's length.

    The grid is a regular one of the space the displacement leads to, as it looks from the fixed image. Folds,
    where the Jacobian determinant is not above 0, are ringed in yellow.

    Parameters
    ----------
    fixed : Image
        Chooses the cuts and lies under the grid.
    warp : Displacement
        The deformable part of a transform, on any grid.
    path : str, Path or binary file
        The picture: 1600 pixels wide, dark, one column for each anatomical cut.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    from matplotlib.colors import LinearSegmentedColormap

    cuts = cuts_through(fixed)
    sheet = Sheet.blank(("Warped grid", "Log-Jacobian", "Displacement"), cuts)
    seen = [_Deformation.on(cut, warp) for cut in cuts]
    change = _round_up(max(float(np.percentile(np.abs(plane.log_jacobian), 99.5)) for plane in seen))
    length = _round_up(max(float(plane.length.max()) for plane in seen))
    spacing = _round_up(max(max(cut.voxels.shape[1:]) * cut.pixel for cut in cuts) / _GRID_LINES)
    colours = LinearSegmentedColormap.from_list("shrinks grows", _SHRINKS_GROWS)
    sheet.legend(0, ((_GRID_LINE, f"every {spacing:g} mm"),))
    sheet.scale(1, colours, (f"shrinks {-change:g}", f"{change:g} grows"))
    sheet.scale(2, "magma", ("0", f"{length:g} mm"))
    shades = window(fixed)
    for column, (cut, plane) in enumerate(zip(cuts, seen, strict=True)):
        target = _scaled(cut.sample(fixed), *shades)
        grid = sheet.show(0, column, target, cmap="gray", vmin=0, vmax=1.5)
        for position in plane.position:
            lines = np.arange(np.ceil(position.min() / spacing), position.max() / spacing) * spacing
            grid.contour(position, levels=lines, colors=_GRID_LINE, linewidths=0.8, alpha=0.8)
        panels = (
            sheet.show(1, column, plane.log_jacobian, cmap=colours, vmin=-change, vmax=change),
            sheet.show(2, column, plane.length, cmap="magma", vmin=0, vmax=length),
        )
        body = _silhouette(target)
        for panel in panels:
            panel.contourf(body, levels=(-1, 0.5), colors="black")
            panel.contour(body, levels=(0.5,), colors=INK, linewidths=0.8, alpha=0.8)
        if plane.folds.any():
            panels[0].contour(plane.folds, levels=(0.5,), colors=_FOLD, linewidths=1.5)
    sheet.save(path, dither=True)


@dataclass(frozen=True, eq=False)
class _Deformation:
    """A displacement on a cut: mapped positions along the page's two axes (mm), log-Jacobian, folds, length (mm)."""

    position: tuple[Plane, Plane]
    log_jacobian: Plane
    folds: NDArray[np.float32]
    length: Plane

    @classmethod
    def on(cls, cut: Cut, warp: Displacement) -> _Deformation:
        shift = cut.displacement(warp)
        size = cut.grid.voxel_size
        across, up = (np.asarray(cut.voxels[a] * size[a] + shift[a], np.float32) for a in cut.axes[1:])
        jacobian = cut.jacobian(warp)
        return cls(
            (across, up),
            np.log(np.maximum(jacobian, np.float32(0.01))),
            (jacobian <= 0).astype(np.float32),
            np.linalg.norm(shift, axis=0),
        )


def _scaled(plane: Plane, black: float, white: float) -> Plane:
    """Intensities as shades from 0 to 1; what is not finite is black."""
    shades = (np.nan_to_num(plane, nan=black) - black) / (white - black)
    return np.asarray(np.clip(shades, 0, 1), dtype=np.float32)


def _silhouette(shades: Plane) -> NDArray[np.float32]:
    """1 inside the body, holes filled, falling softly to 0 outside."""
    filled = binary_fill_holes(gaussian_filter(shades, 1.5) > 0.1)
    return np.asarray(gaussian_filter(filled.astype(np.float32), 1.0))


def _tissue_borders(shades: Plane) -> tuple[float, ...]:
    """The two shades that part a picture best into three classes (Otsu 1979, doi:10.1109/TSMC.1979.4310076)."""
    counts, edges = np.histogram(shades, bins=32, range=(0, 1))
    weight = np.concatenate(([0.0], np.cumsum(counts)))
    moment = np.concatenate(([0.0], np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)))

    def between(cut: tuple[int, int]) -> float:
        ends = np.array((0, *cut, 32))
        weights, moments = np.diff(weight[ends]), np.diff(moment[ends])
        return float((moments**2 / np.maximum(weights, 1)).sum())

    return tuple(float(edges[at]) for at in max(combinations(range(1, 32), 2), key=between))


def _round_up(value: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten; 1e-3 at least."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-3)))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= min(value, 10 * power) * (1 - 1e-9)))
