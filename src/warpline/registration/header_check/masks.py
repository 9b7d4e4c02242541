"""Whether a mask lies on its image as it should: by its header, and by what both show."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.images import Image
from warpline.images.foreground import foreground_mask
from warpline.images.intensity import Normalised
from warpline.registration.header_check.finding import Finding
from warpline.registration.header_check.orientations import describe, orientations
from warpline.registration.header_check.search import read_as
from warpline.registration.length_unit import LengthUnit
from warpline.registration.pyramid import build_pyramid
from warpline.space.grid import Grid

SPACING = 2.0
"""Voxel size in mm of a head at which a mask and its image are compared."""
BINS = 32
GAIN = 1.1
"""Mutual information of mask and image in another place over that in its own, from which the mask is doubtful.

Brain masks of ten brains reach at most 0.7 in any other orientation."""
LEAST_SHARE = 0.2
"""Least size of a mask, as a share of the foreground's, for its orientation to be told.

A brain is a third of a head; a part of it, such as a thalamus, looks alike in many places."""


def check_mask(mask: Image, image: Image, normalised: Normalised, backend: Backend) -> tuple[list[Finding], list[str]]:
    """Findings on a mask, and what cannot be told.

    Parameters
    ----------
    mask, image : Image
        One volume each.
    normalised : Normalised
        The image.
    backend : Backend
        Where they are compared.
    """
    comparison = _MaskComparison(mask, normalised, backend)
    own, on_image = comparison.score(mask.grid), mask.grid == image.grid
    places = _places(mask, image)
    score, place, words = max(((comparison.score(grid), grid, words) for grid, words in places), key=lambda one: one[0])
    findings = []
    if not on_image:
        findings.append(Finding("mask grid", _grids_differ(mask, image)))
    if _volume(mask.data != 0, mask.grid) < LEAST_SHARE * _volume(foreground_mask(image), image.grid):
        return findings, [f"{mask.name} covers too little of the object for its orientation to be told from the images"]
    if score > GAIN * own and not (on_image and place == mask.grid):
        gain = f"mutual information {score:.3f}, not {own:.3f}"
        findings.append(Finding("mask orientation", f"{mask.name} fits {image.name} better where {words} ({gain})"))
    return findings, []


def _volume(marked: NDArray[np.bool_], grid: Grid) -> float:
    """Of some voxels, in cubic mm."""
    return float(np.count_nonzero(marked)) * float(np.prod(grid.voxel_size))


def _grids_differ(mask: Image, image: Image) -> str:
    if mask.grid.shape != image.grid.shape:
        return (
            f"{mask.name} (shape {mask.grid.shape}) is not on the grid of {image.name} (shape {image.grid.shape}): "
            "resample it with warpline apply --interpolation nearest"
        )
    gap = np.linalg.norm(mask.grid.corners() - image.grid.corners(), axis=1).max()
    return (
        f"the header of {mask.name} places its voxels up to {gap:.4g} mm from those of {image.name}, which has the "
        "same shape: one of the two headers is wrong, or the mask was made for another image"
    )


def _places(mask: Image, image: Image) -> Iterator[tuple[Grid, str]]:
    """Other places of a mask, in words: by the header of its image, and in every orientation of either."""
    alike = mask.grid.shape == image.grid.shape and mask.grid != image.grid
    for grid, prefix in ((mask.grid, ""), *(((image.grid, f"its header is that of {image.name}"),) if alike else ())):
        for orientation in orientations(in_plane=grid.flat):
            same = (orientation == np.eye(3)).all()
            if not (same and grid is mask.grid):
                turned = "" if same else describe(orientation, grid)
                yield read_as(grid, orientation)[0], " and ".join(filter(None, (prefix, turned)))


class _MaskComparison:
    """Mutual information of a mask and its image, with the mask anywhere."""

    def __init__(self, mask: Image, image: Normalised, backend: Backend) -> None:
        level = build_pyramid(LengthUnit.of(image).image(image, backend), (SPACING,), backend)[0]
        self._unit, self._grid, self._backend = LengthUnit.of(image), level.grid, backend
        values = backend.download(level.array)
        low, high = float(values.min()), float(values.max())
        self._bins = np.minimum((values - low) / max(high - low, 1e-30) * BINS, BINS - 1).astype(np.int64)
        self._marked: Array = backend.upload(np.ascontiguousarray(mask.data != 0, dtype=np.float32))

    def score(self, grid: Grid) -> float:
        """Mutual information, in nats, with the mask on `grid` (mm)."""
        in_mm = self._grid.affine.copy()
        in_mm[:3] *= self._unit.mm
        matrix = grid.inverse_affine @ in_mm
        marked = self._backend.sample(self._marked, matrix, shape=self._grid.shape)
        inside = self._backend.download(marked) > 0.5
        counts = np.stack([np.bincount(self._bins[side], minlength=BINS) for side in (inside, ~inside)])
        return _mutual_information(counts / counts.sum())


def _mutual_information(joint: NDArray[np.float64]) -> float:
    """Of a table of probabilities, in nats."""
    apart = joint.sum(axis=0) * joint.sum(axis=1)[:, None]
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / apart[some])).sum())
