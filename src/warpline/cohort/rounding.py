"""Displacements as a cohort keeps them: rounded, finely where an image is and coarsely in the air around it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from warpline import registration as jobs
from warpline.backends import Backend
from warpline.cohort.tasks import Warps
from warpline.images import Image
from warpline.registration.inverse_consistency import quality_of
from warpline.registration.judgement import judge, quality_signs
from warpline.report.provenance import plain
from warpline.resampling import warp
from warpline.space import Chain, Displacement, fields

STEP, COARSE_STEP = 1 / 64, 1 / 2
"""Displacements are whole multiples of this many mm: at most 0.008 mm off along each axis, and 0.25 mm where neither
image has content."""

MARGIN = 3
"""Voxels around the content that are rounded finely too."""


def kept(registration: jobs.Registration, warps: Warps, backend: Backend) -> jobs.Registration:
    """A registration with its displacements as they are to be written, measured on them, and a report that says so.

    Parameters
    ----------
    registration : Registration
        As `warpline.registration.compute` gave it.
    warps : str
        ``"rounded"``; ``"forward"`` also leaves the inverse out, after it was measured.
    backend : Backend
        Where the arithmetic runs.
    """
    field = registration.alignment.warp
    if field is None or warps not in ("rounded", "forward"):
        return registration
    content = _content(registration.alignment.fixed) | _content(registration.warped)
    found = _rounded(field, content)
    inverse = _rounded(field.inverse(), content | _carried(content, field, backend))
    whole = Displacement(found, field.grid, inverse)
    written = whole if warps == "rounded" else Displacement(found, field.grid)
    quality = _measured(registration, whole, backend)
    judged = registration.alignment.judgement
    judgement = judge({**judged.signs, **quality_signs(quality)})
    alignment = replace(registration.alignment, warp=written, quality=quality, judgement=judgement)
    warnings = [text for text in registration.report["warnings"] if text not in judged.reasons]
    report = {
        **registration.report,
        "quality": plain(asdict(quality)),
        "judgement": plain(asdict(judgement)),
        "warnings": [*warnings, *judgement.reasons],
        "rounding_mm": {"content": STEP, "elsewhere": COARSE_STEP, "margin_voxels": MARGIN},
    }
    return replace(registration, alignment=alignment, report=report)


def _content(image: Image) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = image.data > image.data.min()
    return found


def _carried(content: NDArray[np.bool_], field: Displacement, backend: Backend) -> NDArray[np.bool_]:
    """Where the inverse is asked about the content: the voxels that it carries there."""
    image = Image(content.astype(np.uint8), field.grid)
    found: NDArray[np.bool_] = warp(image, Chain((field.inverse(),)), field.grid, order=0, backend=backend).data != 0
    return found


def _rounded(field: Displacement, content: NDArray[np.bool_]) -> NDArray[np.float32]:
    near = maximum_filter(content.view(np.uint8), size=2 * MARGIN + 1) != 0
    steps = np.where(near, np.float32(1 / STEP), np.float32(1 / COARSE_STEP))
    found: NDArray[np.float32] = field.field * steps
    np.rint(found, out=found)
    found /= steps
    found += 0.0  # no negative zeros: they compress worse
    return found


def _measured(registration: jobs.Registration, field: Displacement, backend: Backend) -> Any:
    """Folds and inverse errors of the rounded maps, inside the fixed image's content."""
    inverse = field.inverse()
    both = [backend.upload(fields.to_voxels(one.field, field.grid)) for one in (field, inverse)]
    mask = backend.upload(_content(registration.alignment.fixed).astype(np.uint8))
    before = registration.alignment.quality
    if before is None:
        return quality_of(both[0], both[1], mask, backend)
    return quality_of(both[0], both[1], mask, backend, rounds=before.rounds, units=before.units)
