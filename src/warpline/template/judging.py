"""Which of the subjects that were registered do not belong to the template, and how much the others count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from warpline.backends import Backend
from warpline.images.foreground import foreground_mask
from warpline.io.images import read_image
from warpline.resampling import warp
from warpline.space import Affine
from warpline.space.grid import Grid
from warpline.template.fit import MIN_SUBJECTS, MIRRORED, Fits, asymmetry, fits_of, products, with_the_others
from warpline.template.layout import FEWEST
from warpline.template.options import Options
from warpline.template.records import LeftOut
from warpline.template.rounds import Registered
from warpline.template.shape import MOST_TURNED, mirrored_field, rotation_angle
from warpline.template.start import read_normalised

SMOOTHED = 1 / 50
"""Standard deviation of the Gaussian under which sides are compared, as a share of the longest side of the grid."""


Sides = Literal["grey", "both"]
"""What sides are compared by: grey values, or displacements too."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was found of registered subjects.

    Parameters
    ----------
    registered : Registered
        Those that stay.
    fits : Fits
        Of these, in their order.
    left_out : tuple of LeftOut
        The others.
    """

    registered: Registered
    fits: Fits
    left_out: tuple[LeftOut, ...]


def judge(registered: Registered, options: Options, backend: Backend, *, sides: Sides | None) -> Judgement:
    """Find out who does not belong to the template.

    Parameters
    ----------
    registered : Registered
        All subjects.
    options : Options
        Of the template.
    backend : Backend
        What resamples.
    sides : {"grey", "both"}, optional
        By what to look for subjects in which left and right are exchanged; not at all when None.
    """
    left_out = [*_failed(registered)]
    left_out += _turned(registered.without({one.id for one in left_out}))
    rest = registered.without({one.id for one in left_out})
    fits = _fits(rest)
    left_out += _unlike(rest, fits)
    known = {one.id for one in left_out}
    if sides is not None and len(registered.subjects) - len(known) >= MIN_SUBJECTS:
        left_out += _mirrored(registered.without(known), sides, options, backend)
        known = {one.id for one in left_out}
    kept = registered.without(known)
    return Judgement(kept, fits if len(kept.subjects) == len(rest.subjects) else _fits(kept), tuple(left_out))


def _failed(registered: Registered) -> Iterator[LeftOut]:
    for subject in registered.subjects:
        failure = registered.results[subject.id].failure
        if failure is not None:
            yield LeftOut(subject.id, f"could not be registered: {failure.message}")


def _turned(registered: Registered) -> Iterator[LeftOut]:
    for subject, files in zip(registered.subjects, registered.maps(), strict=True):
        angle = rotation_angle(files.matrix())
        if angle > MOST_TURNED:
            yield LeftOut(
                subject.id, f"lies turned by {angle:.0f} degrees, too far for a mean of poses; correct its header"
            )


def _fits(registered: Registered) -> Fits:
    """Fit of every subject, as it was registered, inside the foreground of the template; of a single one it is 1."""
    if len(registered.subjects) < FEWEST:
        return Fits(*(np.ones(len(registered.subjects)) for _ in range(2)))
    inside = foreground_mask(read_image(registered.fixed))
    rows = (np.asarray(registered.warped(one).data[inside], np.float64) for one in registered.subjects)
    return fits_of(products(rows, registered.folder))


def _unlike(registered: Registered, fits: Fits) -> Iterator[LeftOut]:
    for subject, fit, weight in zip(registered.subjects, fits.fit, fits.weight, strict=True):
        if not weight:
            usual = float(np.median(fits.fit))
            reason = f"does not fit: its correlation with the mean of the others is {fit:.2f}, usually {usual:.2f}"
            yield LeftOut(subject.id, reason)


def _mirrored(registered: Registered, sides: Sides, options: Options, backend: Backend) -> Iterator[LeftOut]:
    found = handedness(registered, sides, options, backend)
    for subject, alike in zip(registered.subjects, found, strict=True):
        if alike < MIRRORED:
            yield LeftOut(
                subject.id,
                f"left and right are exchanged: what they differ in correlates by {alike:.2f} with the other subjects",
            )


def handedness(registered: Registered, sides: Sides, options: Options, backend: Backend) -> NDArray[np.float64]:
    """How what left and right differ in agrees with the other subjects: (N,) correlations, negative where mirrored.

    The mean of two: of grey values after the affine, and of displacements from a template that is its own mirror image;
    0 where one is negative and the other is not. Where displacements are not known, or `sides` leaves them out, they
    count as 0 in the mean: grey values must speak the clearer.
    """
    fixed = read_image(registered.fixed)
    places, everyone = foreground_mask(fixed)[: fixed.grid.shape[0] // 2], np.ones(len(registered.subjects))
    grey = (values[places] for values in _grey_asymmetries(registered, fixed.grid, options, backend))
    found = with_the_others(products(grey, registered.folder, centred=False), everyone)
    maps = registered.maps()
    if sides == "grey" or any(files.warp is None for files in maps):
        return found / 2
    fields = (_field_asymmetry(files.field("warp").field)[:, places].ravel() for files in maps)
    moved = with_the_others(products(fields, registered.folder, centred=False), everyone)
    return np.asarray(np.where((found < 0) == (moved < 0), (found + moved) / 2, 0.0))


def _grey_asymmetries(
    registered: Registered, grid: Grid, options: Options, backend: Backend
) -> Iterator[NDArray[np.floating]]:
    """What left and right of every subject differ in after its affine, smoothed."""
    longest = max(grid.shape)
    for subject, files in zip(registered.subjects, registered.maps(), strict=True):
        image = read_normalised(subject.moving, options.geometry, backend)
        placed = warp(image, Affine(files.matrix(), grid.flat), grid, backend=backend).data
        sigma = [SMOOTHED * longest if n > 1 else 0.0 for n in grid.shape]
        yield asymmetry(gaussian_filter(np.asarray(placed, np.float64), sigma))


def _field_asymmetry(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a displacement (3, I, J, K) and its mirror image differ in, at the voxels of one half."""
    half: NDArray[np.float32] = ((field - mirrored_field(field)) / np.float32(2))[:, : field.shape[1] // 2]
    return half
