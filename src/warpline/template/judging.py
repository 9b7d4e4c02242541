"""Which of the subjects that were registered do not belong to the template, and how much the others count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from warpline.backends import Backend
from warpline.images.foreground import foreground_mask
from warpline.io.images import read_image
from warpline.resampling import warp
from warpline.space import Affine, Displacement
from warpline.space.grid import Grid
from warpline.template.fit import CLEAR, MIN_SUBJECTS, Fits, agreements, asymmetry, fits_of, products
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
    sides : dict
        `handedness` of those whose left and right were compared, by id.
    """

    registered: Registered
    fits: Fits
    left_out: tuple[LeftOut, ...]
    sides: dict[str, float] = field(default_factory=dict)


def judge(
    registered: Registered,
    options: Options,
    backend: Backend,
    *,
    sides: Sides | None,
    compared: frozenset[str] = frozenset(),
) -> Judgement:
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
    compared : frozenset of str
        Ids of subjects whose left and right were compared already: they are not left out for these again.
    """
    left_out = [*_failed(registered)]
    left_out += _turned(registered.without({one.id for one in left_out}))
    rest = registered.without({one.id for one in left_out})
    fits = _fits(rest)
    left_out += _unlike(rest, fits)
    known, alike = {one.id for one in left_out}, dict[str, float]()
    if sides is not None and len(registered.subjects) - len(known) >= MIN_SUBJECTS:
        others = registered.without(known)
        found = handedness(others, sides, options, backend).tolist()
        alike = dict(zip((one.id for one in others.subjects), found, strict=True))
        left_out += _mirrored({id: value for id, value in alike.items() if id not in compared})
        known = {one.id for one in left_out}
    kept = registered.without(known)
    fits = fits if len(kept.subjects) == len(rest.subjects) else _fits(kept)
    return Judgement(kept, fits, tuple(left_out), alike)


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


def _mirrored(sides: Mapping[str, float]) -> Iterator[LeftOut]:
    for id, alike in sides.items():
        if alike < -CLEAR:
            how = f"what they differ in correlates by {alike:.2f} with the other subjects"
            yield LeftOut(id, f"left and right are exchanged: {how}")


def handedness(registered: Registered, sides: Sides, options: Options, backend: Backend) -> NDArray[np.float64]:
    """How what left and right differ in agrees with the other subjects: (N,) correlations, negative where mirrored.

    The mean of three: of grey values after the affine, and of displacements from a template that is its own mirror
    image and of their divergence, all smoothed alike. Where displacements are not known, or `sides` leaves them out,
    half of the first: grey values alone must speak the clearer.
    """
    fixed = read_image(registered.fixed)
    places = foreground_mask(fixed)[: fixed.grid.shape[0] // 2]
    grey = (values[places] for values in _grey_asymmetries(registered, fixed.grid, options, backend))
    tables = [products(grey, registered.folder, centred=False)]
    maps = registered.maps()
    if sides == "grey" or any(files.warp is None for files in maps):
        return agreements(tables) / 2
    for asymmetry_of in (_field_asymmetry, _divergence_asymmetry):
        fields = (asymmetry_of(files.field("warp"))[..., places].ravel() for files in maps)
        tables.append(products(fields, registered.folder, centred=False))
    return agreements(tables)


def _grey_asymmetries(
    registered: Registered, grid: Grid, options: Options, backend: Backend
) -> Iterator[NDArray[np.floating]]:
    """What left and right of every subject differ in after its affine, smoothed."""
    for subject, files in zip(registered.subjects, registered.maps(), strict=True):
        image = read_normalised(subject.moving, options.geometry, backend)
        placed = warp(image, Affine(files.matrix(), grid.flat), grid, backend=backend).data
        yield asymmetry(_smoothed(placed))


def _field_asymmetry(displacement: Displacement) -> NDArray[np.floating]:
    """What a displacement and its mirror image differ in, at the voxels of one half."""
    field = np.stack([_smoothed(component) for component in displacement.field]).astype(np.float32)
    half: NDArray[np.float32] = ((field - mirrored_field(field)) / np.float32(2))[:, : field.shape[1] // 2]
    return half


def _divergence_asymmetry(displacement: Displacement) -> NDArray[np.floating]:
    """What left and right of the divergence of a displacement differ in."""
    total = np.zeros(displacement.grid.shape)
    for axis, (component, size) in enumerate(zip(displacement.field, displacement.grid.voxel_size, strict=True)):
        if displacement.grid.shape[axis] > 1:
            total += np.gradient(_smoothed(component), size, axis=axis)
    return asymmetry(total)


def _smoothed(volume: NDArray[np.generic]) -> NDArray[np.float64]:
    longest = max(volume.shape)
    sigma = [SMOOTHED * longest if n > 1 else 0.0 for n in volume.shape]
    return np.asarray(gaussian_filter(np.asarray(volume, np.float64), sigma))
