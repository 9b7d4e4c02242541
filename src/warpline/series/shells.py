"""The motion of a whole series: of one contrast, or of the shells of a diffusion series, each by itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Backend
from warpline.errors import UsageError
from warpline.images import Image
from warpline.io.series_files import Series
from warpline.series.concurrency import Workers
from warpline.series.estimation import (
    ROBUST,
    Progress,
    Reference,
    doubtful_volumes,
    fit_series,
    is_aligned,
    reference_of,
    targets_of,
)
from warpline.series.gradients import Gradients
from warpline.series.least_squares import Fit
from warpline.space.grid import Matrix


@dataclass(frozen=True, eq=False)
class Found:
    """Where the volumes of a series are.

    Parameters
    ----------
    reference : Image
        What all of them are fitted to in the end.
    made_from : str
        What it was made from, in words.
    fits : list of Fit
        One a volume.
    centre : (3,)
        Of what the reference shows, in world; shifts are counted there.
    not_aligned, poor : list of int
        Volumes that are not aligned, and that match much worse than the others.
    shells : list of dict
        What the report says about the shells of a diffusion series.
    warnings : tuple of str
        Reasons for doubt.
    """

    reference: Image
    made_from: str
    fits: list[Fit]
    centre: NDArray[np.float64]
    not_aligned: list[int]
    poor: list[int]
    shells: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()


def find_motion(
    series: Series,
    chosen: str | int | Image,
    *,
    freedom: str,
    mask: NDArray[np.bool_] | None,
    workers: Workers,
    progress: Progress | None = None,
) -> Found:
    """Fit every volume of a series of one contrast to its reference.

    Parameters
    ----------
    series : Series
        The volumes.
    chosen : str, int or Image
        As of `reference_of`, or the reference itself, on any grid.
    freedom : str
        Key of `warpline.series.freedoms.FREEDOMS`.
    mask : (I, J, K) bool, optional
        Where the reference counts.
    workers : Workers
        Who fits.
    progress : callable, optional
        Told of each volume.
    """
    starts: dict[int, Matrix] = {}
    if isinstance(chosen, Image):
        reference = Reference(chosen, "an image that was given")
    else:
        reference, starts = reference_of(series, chosen, workers, freedom=freedom, mask=mask)
    targets = targets_of(reference.image, workers, freedom=freedom, mask=mask)
    fits = fit_series(series, targets, workers, starts=starts, progress=progress)
    if reference.number is not None:
        fits[reference.number] = replace(fits[reference.number], matrix=np.eye(4))
    lost = [number for number, found in enumerate(fits) if not is_aligned(found)]
    poor = sorted(set(doubtful_volumes(fits)) - set(lost))
    return Found(reference.image, reference.made_from, _as_neighbours(fits, lost), targets.fine.centre, lost, poor)


def _as_neighbours(fits: list[Fit], lost: list[int]) -> list[Fit]:
    """The fits, those that failed with the place of the nearest volume that did not."""
    sound = [number for number in range(len(fits)) if number not in lost]
    places = {n: min(sound, key=lambda other: abs(other - n)) for n in lost} if sound else {}
    return [replace(found, matrix=fits[places.get(n, n)].matrix) for n, found in enumerate(fits)]


def find_motion_by_shell(
    series: Series,
    gradients: Gradients,
    chosen: str | int | Image,
    *,
    freedom: str,
    mask: NDArray[np.bool_] | None,
    workers: Workers,
    backend: Backend,
    threads: int | None,
    progress: Progress | None = None,
) -> Found:
    """Fit every volume of a diffusion series to the reference of its shell, and those to the unweighted one.

    Parameters
    ----------
    series, freedom, mask, workers, progress
        As of `find_motion`.
    gradients : Gradients
        B-values of the volumes.
    chosen : str, int or Image
        One of `REFERENCES`, of every shell; or the number of an unweighted volume, or an image like those: of the
        unweighted ones, others have robust ones then.
    backend, threads
        Where references are registered to each other, by mutual information.

    Raises
    ------
    UsageError
        When the reference is a volume with diffusion weighting, or unknown.
    """
    how: dict[str, Any] = {"freedom": freedom, "mask": mask, "workers": workers, "progress": progress}
    fits: list[Fit] = [Fit(np.eye(4))] * series.count
    parts, lost, poor, rows, warnings = [], [], [], [], []
    for bvalue, numbers in gradients.shells():
        part = find_motion(series.taken(numbers), _of_shell(chosen, bvalue, numbers), **how)
        parts.append(part)
        place, outcome = np.eye(4), "fine"
        if bvalue > 0:
            place, outcome, said = _between(parts[0].reference, part.reference, backend, threads)
            warnings += [f"shell b = {bvalue} to the unweighted one: {one}" for one in said]
        for number, found in zip(numbers, part.fits, strict=True):
            fits[number] = replace(found, matrix=found.matrix @ place)
        lost += [numbers[one] for one in part.not_aligned]
        poor += [numbers[one] for one in part.poor]
        rows.append({
            "b": bvalue, "volumes": len(numbers), "reference": part.made_from, "to_unweighted": place.tolist(),
            "judgement": outcome,
        })  # fmt: skip
    made = f"unweighted volumes: {parts[0].made_from}"
    return Found(parts[0].reference, made, fits, parts[0].centre, sorted(lost), sorted(poor), rows, tuple(warnings))


def _of_shell(chosen: str | int | Image, bvalue: int, numbers: list[int]) -> str | int | Image:
    """The reference of a shell, of which a number counts its own volumes."""
    if isinstance(chosen, str):
        return chosen
    if bvalue > 0:
        return ROBUST
    if isinstance(chosen, Image):
        return chosen
    if chosen not in numbers:
        raise UsageError(f"reference is volume {chosen}; of a diffusion series an unweighted one is needed: {numbers}")
    return numbers.index(chosen)


def _between(
    unweighted: Image, weighted: Image, backend: Backend, threads: int | None
) -> tuple[Matrix, str, list[str]]:
    """World of the unweighted reference to world of a weighted one, rigid, by mutual information; judgement, doubts."""
    from warpline.registration import register

    found = register(unweighted, weighted, "rigid", initial=np.eye(4), backend=backend, threads=threads)
    outcome = str(found.report["judgement"]["outcome"])
    return found.alignment.affine.matrix, outcome, list(found.report["warnings"])
