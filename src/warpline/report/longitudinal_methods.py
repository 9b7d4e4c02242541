"""What was done to time points, in words for a paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warpline.report.methods import joined, metric_in_words, smoothing, software


def is_longitudinal(report: Mapping[str, Any]) -> bool:
    """Whether a report is that of time points."""
    return {"middle", "points", "changes", "options"} <= report.keys()


def describe_time_points(report: Mapping[str, Any]) -> str:
    """A paragraph on time points, with ``[@key]`` where it cites.

    Parameters
    ----------
    report : dict
        Of a `warpline.LongitudinalRegistration`.

    Raises
    ------
    InputError
        When the report holds other values than reports of this version do.
    """
    return joined(_sentences(report))


def _sentences(report: Mapping[str, Any]) -> Iterator[str]:
    rigid, recipe = report["options"]["rigid"], report["options"]["recipe"]
    names = ", ".join(f"`{point['name']}`" for point in report["points"])
    yield (
        f"The {len(report['points'])} time points {names} were carried to a middle that prefers none of them "
        f"[@reuter; @reuter-fischl] with {software([report], recipe)}."
    )
    yield (
        f"Every two were registered rigidly both ways ({rigid['linear']['metric'].replace('_', ' ')}), both maps were "
        "averaged, and maps of all pairs made consistent by least squares [@singer]; in the middle, rotations have no "
        "mean."
    )
    size = report["middle"]["voxel_size"][0]
    yield (
        f"Each time point was interpolated there once, by cubic splines on voxels of {size:.3g} mm; gain and shading "
        "that differ between them were divided out [@lewis]."
    )
    yield from _change(report, recipe["syn"])


def _change(report: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Every two were registered both ways there by a stationary velocity field [@arsigny; @vercauteren], comparing "
        f"{metric_in_words(options['metric'], options)}, and half the difference of both fields was taken."
    )
    yield from smoothing(options)
    if any("mask" in entry for entry in report["inputs"]):
        yield "Metrics counted inside given masks only."
    yield "Change is the logarithm of the ratio of Jacobian determinants of the maps from the middle."
    labels = report["labels"]
    if labels is not None:
        yield f"Growth of labels of `{labels['of']}` is that of the determinants summed over their voxels."
