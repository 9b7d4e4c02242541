"""Displacements of a pair in steps of a few fractions of a mm, which take a fifth of the space in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.cohort import quality
from warpline.cohort.plan import ROUNDED, Warps
from warpline.images import Image
from warpline.images.foreground import above_lowest
from warpline.io.json_values import plain
from warpline.registration import Registration
from warpline.registration.judgement import judge, quality_signs
from warpline.registration.quality import VOXELS, Quality, quality_of
from warpline.space import Displacement, Grid, fields

STEP, COARSE_STEP = 1 / 64, 1 / 2
"""Displacements are multiples of this many mm: at most 0.008 mm off along each axis, and 0.25 mm in the background."""

FINE_STEP = 1 / 1024
"""The same where rounding would fold a map that all but folds, in a voxel in a hundred thousand."""

MARGIN = 3
"""Voxels around the foreground that are rounded finely too."""

NEAR_FOLDS = 2
"""Voxels around a fold by rounding that are rounded more finely."""


def round_fields(
    registration: Registration, warps: Warps, images: Mapping[str, Image], backend: Backend
) -> Registration:
    """A registration with its displacements rounded as they are to be written, and measured once more.

    Parameters
    ----------
    registration : Registration
        As `warpline.registration.compute` gave it.
    warps : str
        ``"rounded"``, a velocity field too; ``"forward"`` also leaves out that and the inverse, after it was measured.
        With a budget nothing is rounded.
    images : dict of str to Image
        ``"fixed"`` and, where given, ``"fixed_mask"``: folds and inverse errors are measured on their `object_mask`.
    backend : Backend
        Where the arithmetic runs.
    """
    field = registration.alignment.warp
    if field is None or warps not in ROUNDED:
        return registration
    if registration.alignment.spending is not None:  # rounding bends: the budget is a promise about what is written
        return registration if warps == "rounded" else _forward_alone(registration, field)
    velocity = registration.alignment.velocity if warps == "rounded" else None
    inside = above_lowest(registration.alignment.fixed) | above_lowest(registration.warped)
    with backend.session():
        rounded, voxels = _rounded_pair(field, inside, backend)
        measured = _measure_again(registration, voxels, quality.object_mask(images), backend)
        velocity = None if velocity is None else _rounded(velocity, inside, backend)
    written = rounded if warps == "rounded" else Displacement(rounded.field, field.grid)
    judged = registration.alignment.judgement
    judgement = judge({**judged.signs, **quality_signs(measured)})
    measured_again = replace(registration.alignment, quality=measured, judgement=judgement)
    warnings = [text for text in registration.report["warnings"] if text not in judged.reasons]
    report = {
        **registration.report,
        "quality": plain(asdict(measured)),
        "judgement": plain(asdict(judgement)),
        "warnings": [*warnings, *judgement.reasons],
        "rounding_mm": {"content": STEP, "near_folds": FINE_STEP, "elsewhere": COARSE_STEP, "margin_voxels": MARGIN},
    }
    return replace(registration, alignment=replace(measured_again, warp=written, velocity=velocity), report=report)


def round_forward(registration: Registration, warps: Warps, backend: Backend) -> Registration:
    """A registration that is not measured, with its forward displacement alone, rounded as `round_fields` does.

    Parameters
    ----------
    registration : Registration
        As `warpline.registration.compute` gave it.
    warps : str
        As for `round_fields`; a velocity field stays with ``"rounded"``.
    backend : Backend
        Where the arithmetic runs.
    """
    found = registration.alignment
    if found.warp is None or warps not in ROUNDED:
        return registration
    velocity = found.velocity if warps == "rounded" else None
    if found.spending is not None:
        alone = replace(found, warp=Displacement(found.warp.field, found.warp.grid), velocity=velocity)
        return replace(registration, alignment=alone)
    inside = above_lowest(found.fixed) | above_lowest(registration.warped)
    with backend.session():
        rounded = _rounded(found.warp, inside, backend)
        velocity = None if velocity is None else _rounded(velocity, inside, backend)
    return replace(registration, alignment=replace(found, warp=rounded, velocity=velocity))


def _forward_alone(registration: Registration, field: Displacement) -> Registration:
    """The registration with the forward displacement only."""
    alignment = replace(registration.alignment, warp=Displacement(field.field, field.grid), velocity=None)
    return replace(registration, alignment=alignment)


def _rounded(field: Displacement, inside: NDArray[np.bool_], backend: Backend) -> Displacement:
    content = backend.upload(inside.astype(np.uint8))
    rounded = round_field(backend.upload(field.field), field.grid, content, backend)
    return Displacement(backend.download(rounded), field.grid)


def _rounded_pair(
    field: Displacement, inside: NDArray[np.bool_], backend: Backend
) -> tuple[Displacement, tuple[Array, Array]]:
    """A field and its inverse, rounded; both again in voxels, on the backend."""
    grid, content = field.grid, backend.upload(inside.astype(np.uint8))
    inverse = backend.upload(field.inverse().field)
    mapped = backend.sample(content, np.eye(4), field=fields.to_voxels(inverse, grid), shape=grid.shape, order=0)
    pair = (
        round_field(backend.upload(field.field), grid, content, backend),
        round_field(inverse, grid, content | mapped, backend),
    )
    rounded = Displacement(backend.download(pair[0]), grid, backend.download(pair[1]))
    return rounded, (fields.to_voxels(pair[0], grid), fields.to_voxels(pair[1], grid))


def round_field(field: Array, grid: Grid, inside: Array, backend: Backend) -> Array:
    """The field in steps of three sizes: in and around a mask, beyond, and where the first would fold it.

    Parameters
    ----------
    field : (3, I, J, K) float32
        Displacement in mm, on the backend.
    grid : Grid
        Its grid.
    inside : (I, J, K) uint8
        Not 0 in the foreground.
    backend : Backend
        Where it runs.
    """
    near = grown(inside, MARGIN)
    steps = np.float32(1 / COARSE_STEP) + np.float32(1 / STEP - 1 / COARSE_STEP) * near
    rounded = _in_steps(field, steps)
    folded = near * (backend.least_jacobian(fields.to_voxels(rounded, grid)) <= 0)
    if not backend.download(folded.any().reshape(1))[0]:
        return rounded
    return _in_steps(field, np.maximum(steps, np.float32(1 / FINE_STEP) * grown(folded, NEAR_FOLDS)))


def grown(mask: Array, by: int) -> Array:
    """A mask (I, J, K) of uint8, 0 and 1, grown by so many voxels along every axis, diagonals included."""
    for axis in range(3):
        reach = 0  # so far; it doubles: with longer steps, neighbours beyond an end would be missing
        while reach < by:
            step = min(reach + 1, by - reach)
            wider = mask.copy()
            lower, upper = [slice(None)] * 3, [slice(None)] * 3
            lower[axis], upper[axis] = slice(None, -step), slice(step, None)
            wider[tuple(lower)] |= mask[tuple(upper)]
            wider[tuple(upper)] |= mask[tuple(lower)]
            mask, reach = wider, reach + step
    return mask


def _in_steps(field: Array, steps: Array) -> Array:
    """A field (3, I, J, K) in multiples of ``1 / steps`` (I, J, K)."""
    rounded = field * steps
    np.rint(rounded, out=rounded)
    rounded /= steps
    rounded += np.float32(0)  # no negative zeros: they compress worse
    return rounded


def _measure_again(
    registration: Registration, voxels: tuple[Array, Array], inside: NDArray[np.bool_], backend: Backend
) -> Quality:
    """Folds and inverse errors of a field and its inverse, in voxels, inside a mask."""
    before, mask = registration.alignment.quality, backend.upload(inside.astype(np.uint8))
    rounds, units = (0, VOXELS) if before is None else (before.rounds, before.units)
    return quality_of(*voxels, mask, backend, rounds=rounds, units=units)
