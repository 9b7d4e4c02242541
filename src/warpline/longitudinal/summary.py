"""What the report says of time points: quality of the maps, changes in numbers, reasons for doubt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpline.backends import Array, Backend
from warpline.images import Image
from warpline.longitudinal.result import TimePoint
from warpline.longitudinal.solving import Solved
from warpline.registration.quality import quality_of
from warpline.space import Displacement
from warpline.space.fields import to_voxels
from warpline.space.jacobian import jacobian_determinant

LEAST_CORRELATION = 0.8
"""Correlation of a time point with the middle, in the object, below which it may be of an unlike contrast: two scans of
one subject and contrast have 0.95 and more."""

LARGEST_FACTOR = 1.5
"""Ratio of the grey values of two time points above which a warning says so."""

LARGEST_GAP = 0.5
"""Distance in mm between rigid maps that ought to be one above which a warning says so."""

LARGEST_CHANGE = 0.4
"""Log Jacobian that a hundredth of the object may exceed before a warning asks whether it is one subject. A made change
of 5 % has 0.07; the mirrored image of a slice 0.55."""


def summarise(solved: Solved, places: Sequence[int], years: Sequence[float] | None, backend: Backend) -> dict[str, Any]:
    """Sections of the report: `middle`, `memory`, `points`, `pairs`, `changes` and `warnings`.

    Parameters
    ----------
    solved : Solved
        What was found.
    places : sequence of int
        Where each time point, in the order in which they were given, stands in it.
    years : sequence of float, optional
        Of the time points as they were given.
    backend : Backend
        Where measures are computed.
    """
    inside = solved.inside
    rows = [_point_row(solved, place, inside, backend) for place in places]
    ordered = [solved.points[place] for place in places]
    spans = [None] * (len(ordered) - 1) if years is None else [later - sooner for sooner, later in pairwise(years)]
    changes = [
        _change_row(first, second, span, inside, backend)
        for (first, second), span in zip(pairwise(ordered), spans, strict=True)
    ]
    grid = solved.middle.grid
    return {
        "middle": {"shape": list(grid.shape), "voxel_size": grid.voxel_size.tolist()},
        "memory": solved.plan.as_report(),
        "points": rows,
        "pairs": list(_pair_rows(solved)),
        "changes": changes,
        "warnings": [*_pair_warnings(solved), *_point_warnings(rows), *_change_warnings(changes)],
    }


def _point_row(solved: Solved, place: int, inside: NDArray[np.bool_], backend: Backend) -> dict[str, Any]:
    point = solved.points[place]
    with backend.session():
        mask = backend.upload(inside.astype(np.uint8))
        forward, inverse = (_in_voxels(one, backend) for one in (point.warp, point.warp.inverse()))
        quality = quality_of(forward, inverse, mask, backend)
    return {
        "name": point.image.name,
        "rigid": point.rigid.matrix.tolist(),
        "brightness_factor": solved.factors[place],
        "correlation": correlation(point.aligned, solved.middle, inside),
        "quality": asdict(quality),
    }


def _in_voxels(warp: Displacement, backend: Backend) -> Array:
    return backend.upload(np.ascontiguousarray(to_voxels(warp.field, warp.grid), np.float32))


def correlation(first: Image, second: Image, inside: NDArray[np.bool_]) -> float:
    """Pearson correlation of two images on one grid within a mask (I, J, K)."""
    values = np.stack([np.asarray(image.data[inside], np.float64) for image in (first, second)])
    return float(np.corrcoef(values)[0, 1])


def _change_row(
    first: TimePoint, second: TimePoint, span: float | None, inside: NDArray[np.bool_], backend: Backend
) -> dict[str, Any]:
    """Volume of the object at both time points, from the determinants of their maps, and the spread of the change."""
    volumes, logs = [], []
    for point in (first, second):
        determinant = jacobian_determinant(point.warp, backend)[inside]
        volumes.append(float(determinant.sum(dtype=np.float64)))
        logs.append(np.log(np.maximum(determinant, np.finfo(np.float32).tiny)))
    change = logs[1] - logs[0]
    growth = 100 * (volumes[1] / volumes[0] - 1)
    low, median, high = np.percentile(change, (1, 50, 99)).tolist()
    return {
        "from": first.image.name,
        "to": second.image.name,
        "years": span,
        "object_growth_percent": growth,
        "object_growth_percent_per_year": None if span is None else growth / span,
        "log_jacobian": {"p01": low, "median": median, "p99": high},
    }


def _pair_rows(solved: Solved) -> Iterator[dict[str, Any]]:
    for rigid, change in zip(solved.rigid.pairs, solved.changes, strict=True):
        yield {
            "names": [solved.points[number].image.name for number in rigid.numbers],
            "rigid_judgement": rigid.outcome,
            "rigid_disagreement": rigid.disagreement,
            "change_disagreement": change.disagreement,
            "judgement": change.outcome,
        }


def _pair_warnings(solved: Solved) -> Iterator[str]:
    for rigid, change in zip(solved.rigid.pairs, solved.changes, strict=True):
        yield from rigid.warnings
        yield from change.warnings
        if rigid.disagreement > LARGEST_GAP:
            names = " and ".join(solved.points[number].image.name for number in rigid.numbers)
            yield f"{names}: rigid maps found both ways are {rigid.disagreement:.2g} mm apart; look at the images"
    if solved.rigid.inconsistency > LARGEST_GAP:
        yield (
            f"rigid maps of pairs differ from those through the middle by up to {solved.rigid.inconsistency:.2g} mm: "
            "one time point may be aligned wrongly"
        )


def _point_warnings(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    factors = [row["brightness_factor"] for row in rows]
    if max(factors) > LARGEST_FACTOR * min(factors):
        shown = ", ".join(f"{row['name']} {row['brightness_factor']:.3g}" for row in rows)
        yield (
            f"grey values differ, and were multiplied for the middle: {shown}; of another scanner or sequence? Then "
            "compare by --set syn.metric=local_cc"
        )
    for row in rows:
        if row["correlation"] < LEAST_CORRELATION:
            yield (
                f"{row['name']} correlates with the middle by {row['correlation']:.2f} only: of another contrast or "
                "scanner, what it shows otherwise may look like change; local correlation heeds that less: --set "
                "syn.metric=local_cc"
            )
        if row["quality"]["folded_voxels"]:
            yield f"{row['name']}: the map folds at {row['quality']['folded_voxels']} voxels, where changes are unknown"


def _change_warnings(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        low, high = row["log_jacobian"]["p01"], row["log_jacobian"]["p99"]
        if max(-low, high) > LARGEST_CHANGE:
            yield (
                f"{row['from']} to {row['to']}: log Jacobians reach from {low:.2f} to {high:.2f}, far more than a head "
                "changes: do both images show one subject, and is neither mirrored (warpline check-header)?"
            )
