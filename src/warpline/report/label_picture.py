"""A picture of labels on the image that has them, and of how sure they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpline.images import Image
from warpline.report.colour_ramps import MAGMA
from warpline.report.contact_sheet import ContactSheet, Target
from warpline.report.display_maps import body_mask, rescale_intensity
from warpline.report.slices import Slice, display_range, middle_slices
from warpline.space.grid import apply_affine

_FULL_TURN = 0.61803398875
"""Share of the colour circle from one label to the next: neighbouring numbers get colours far apart."""
_OPACITY = 0.55


def write_labels(image: Image, labels: Image, confidence: Image | None, path: Target) -> None:
    """Write a PNG of an image, of its labels over it, and of their confidence where there is one.

    Parameters
    ----------
    image : Image
        Chooses the slices.
    labels : Image
        On any grid; 0 is not drawn.
    confidence : Image, optional
        0 to 1.
    path : str, Path or binary file
        The picture: 1600 pixels wide, dark, one column for each anatomical slice.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    slices, titles = middle_slices(image), ("Image", "Labels", "Confidence")
    sheet = ContactSheet.blank(titles[: 2 if confidence is None else 3], slices)
    limits, values = display_range(image), np.unique(labels.data)
    if confidence is not None:
        sheet.scale(2, MAGMA, ("0", "1"))
    for column, section in enumerate(slices):
        shade = rescale_intensity(section.sample(image, section.samples_per_pixel(image)), *limits)
        sheet.panels[0][column].show(shade)
        sheet.panels[1][column].show(_tinted(shade, np.searchsorted(values, _nearest(section, labels)), values))
        if confidence is not None:
            sheet.panels[2][column].show_coloured(section.sample(confidence), MAGMA, body_mask(shade))
    sheet.save(path)


def _nearest(section: Slice, labels: Image) -> NDArray[np.generic]:
    """The label of the voxel nearest to every pixel (H, W), 0 outside."""
    at = np.rint(apply_affine(section.grid.voxel_map_to(labels.grid), np.moveaxis(section.voxels, 0, -1))).astype(int)
    inside = ((at >= 0) & (at < labels.grid.shape)).all(axis=-1)
    seen = np.zeros(inside.shape, labels.data.dtype)
    seen[inside] = labels.data[tuple(at[inside].T)]
    return seen


def _tinted(shade: NDArray[np.float32], number: NDArray[np.intp], values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Shades (H, W) with the colour of the label of each pixel: (H, W, 3)."""
    hue = np.arange(len(values)) * _FULL_TURN * 6
    channels = [np.clip(np.abs((hue + shift) % 6 - 3) - 1, 0, 1) for shift in (0, 4, 2)]
    colours = np.stack(channels, axis=-1).astype(np.float32)
    drawn = (values != 0)[number][..., None] * np.float32(_OPACITY)
    return np.asarray(shade[..., None] * (1 - drawn) + colours[number] * drawn * (0.3 + 0.7 * shade[..., None]))
